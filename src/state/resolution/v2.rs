//! State resolution v2, and v2.1 where its tweaks are on ([v2], [v12]).
//!
//! [v2]: https://spec.matrix.org/v1.19/rooms/v2/#state-resolution
//! [v12]: https://spec.matrix.org/v1.19/rooms/v12/#state-resolution

use std::collections::{BTreeSet, HashMap};

use ruma::room_version_rules::StateResolutionV2Rules;

use super::{
    ResolutionError, Room, RoomEvent, RoomView,
    auth_checks::{PartialState, iterative_auth_checks},
    conflicts::Conflicts,
    full_set::full_conflicted_set,
    mainline::mainline_ordering,
    power_order::reverse_topological_power_ordering,
};
use crate::state::tree::{Change, NodeSource};

/// The resolved state, as changes of [`Conflicts::base`].
pub(super) fn resolve<S, V>(
    room: &Room<'_, S, V>,
    conflicts: &Conflicts,
    tweaks: StateResolutionV2Rules,
) -> Result<Vec<Change>, ResolutionError<V::Error>>
where
    S: NodeSource<Error = V::Error>,
    V: RoomView,
{
    let full_conflicted_set = full_conflicted_set(room, conflicts, tweaks)?;

    // 1. Select the set X of all power events that appear in the full conflicted set. For each such power
    //    event P, enlarge X by adding the events in the auth chain of P which also belong to the full
    //    conflicted set. Sort X into a list using the reverse topological power ordering.
    let graph = power_events_graph(room, &full_conflicted_set)?;
    let power_events = reverse_topological_power_ordering(room, &graph)?;

    // 2. Apply the iterative auth checks algorithm, starting from the unconflicted state map (v2.1: from an
    //    empty state map), to the list of events from the previous step to get a partially resolved state.
    let mut state = if tweaks.begin_iterative_auth_checks_with_empty_state_map {
        PartialState::empty(conflicts)
    } else {
        PartialState::unconflicted(conflicts)
    };
    iterative_auth_checks(room, &mut state, &power_events)?;

    // 3. Take all remaining events that weren't picked in step 1 and order them by the mainline ordering
    //    based on the power level in the partially resolved state obtained in step 2.
    let power_levels_key =
        room.view.state_key_id("m.room.power_levels", "").map_err(ResolutionError::View)?;
    let power_levels = match power_levels_key {
        Some(key) => state.get(room, key)?,
        None => None,
    };
    let remaining = full_conflicted_set.into_iter().filter(|event| !graph.contains_key(event));
    let remaining = mainline_ordering(room, remaining, power_levels)?;

    // 4. Apply the iterative auth checks algorithm on the partial resolved state and the list of events
    //    from the previous step.
    iterative_auth_checks(room, &mut state, &remaining)?;

    // 5. Update the result by replacing any event with the event with the same key from the unconflicted
    //    state map, if such an event exists, to get the final resolved state.
    state.into_changes(room)
}

/// The set X of step 1: each event with its auth events in X.
///
/// Agreed reading: the auth chain of a power event is followed only as long as it stays in the full
/// conflicted set. (v2.1 adds the conflicted state subgraph to that set, which closes the gaps.)
fn power_events_graph<S, V: RoomView>(
    room: &Room<'_, S, V>,
    full_conflicted_set: &BTreeSet<u64>,
) -> Result<HashMap<u64, Vec<u64>>, ResolutionError<V::Error>> {
    let mut graph: HashMap<u64, Vec<u64>> = HashMap::new();
    for event in full_conflicted_set {
        if !is_power_event(&room.events.get(*event)?) {
            continue;
        }
        let mut open = vec![*event];
        while let Some(event) = open.pop() {
            if graph.contains_key(&event) {
                continue;
            }
            let auth_events: BTreeSet<u64> = room.events.get(event)?.auth_events.iter().copied().collect();
            let inside: Vec<u64> = auth_events.intersection(full_conflicted_set).copied().collect();
            open.extend(&inside);
            graph.insert(event, inside);
        }
    }
    Ok(graph)
}

/// A *power event* is a state event with type `m.room.power_levels` or `m.room.join_rules`, or a state event
/// with type `m.room.member` where the `membership` is `leave` or `ban` and the `sender` does not match the
/// `state_key`.
///
/// Agreed reading: the first two only with an empty state key, since no other has a meaning.
fn is_power_event(event: &RoomEvent) -> bool {
    let event = &event.event;
    match event.event_type() {
        "m.room.power_levels" | "m.room.join_rules" => event.state_key() == Some(""),
        "m.room.member" => {
            event.state_key() != Some(event.sender().as_str())
                && event.membership().is_some_and(|membership| matches!(membership.as_str(), "leave" | "ban"))
        }
        _ => false,
    }
}
