//! State resolution v1 ([v1]), for rooms of version 1.
//!
//! A *conflict* is here only where states hold **different** events at a key; an entry that some states
//! lack is not in conflict.
//!
//! Of conflicts of one type each is resolved against the state before that pass: otherwise the outcome would
//! depend on the order of keys, which the specification leaves open.
//!
//! [v1]: https://spec.matrix.org/v1.19/rooms/v1/#state-resolution

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::{
    ResolutionError, Room, RoomView,
    auth_checks::{Otherwise, PartialState, is_allowed},
    conflicts::Conflicts,
};
use crate::state::tree::{Change, NodeSource};

/// The types that affect authorisation, in the order in which their conflicts are resolved.
const PASSES: [&str; 3] = ["m.room.power_levels", "m.room.join_rules", "m.room.member"];

/// A conflicted key and its events.
struct Conflict {
    key: u64,
    event_type: String,
    /// With depth and SHA-1 of the event id, in ascending order of depth, then descending order of SHA-1.
    events: Vec<(u64, Reverse<Sha1>, u64)>,
}

type Sha1 = [u8; 20];

/// The resolved state, as changes of [`Conflicts::base`].
pub(super) fn resolve<S, V>(
    room: &Room<'_, S, V>,
    conflicts: &Conflicts,
) -> Result<Vec<Change>, ResolutionError<V::Error>>
where
    S: NodeSource<Error = V::Error>,
    V: RoomView,
{
    // Start by setting R to the union of the states to be resolved, excluding any conflicting events.
    let mut state = PartialState::unconflicted(conflicts);
    let mut conflicting = Vec::new();
    for (key, values) in &conflicts.entries {
        let events: BTreeSet<u64> = values.iter().copied().flatten().collect();
        match events.first() {
            Some(only) if events.len() == 1 => {
                state.set(*key, *only);
            }
            _ => conflicting.push(conflict(room, *key, &events)?),
        }
    }

    // First we resolve conflicts between m.room.power_levels events. Repeat the process for conflicts
    // between m.room.join_rules events, and between m.room.member events.
    for pass in PASSES {
        let mut resolved = Vec::new();
        for conflict in conflicting.iter().filter(|conflict| conflict.event_type == pass) {
            resolved.extend(last_allowed(room, &mut state, conflict)?);
        }
        for (key, event) in resolved {
            state.set(key, event);
        }
    }

    // No other events affect the authorisation rules, so for all other conflicts, just pick the event with
    // the highest depth and lowest sha1(event_id) that passes authentication in R and add it to R.
    let mut resolved = Vec::new();
    for conflict in conflicting.iter().filter(|conflict| !PASSES.contains(&conflict.event_type.as_str())) {
        for (.., id) in conflict.events.iter().rev() {
            if is_allowed(room, &state, &room.events.get(*id)?, Otherwise::Absent)? {
                resolved.push((conflict.key, *id));
                break;
            }
        }
    }
    for (key, event) in resolved {
        state.set(key, event);
    }
    state.into_changes(room)
}

/// Reads the events of a conflict and sorts them.
fn conflict<S, V: RoomView>(
    room: &Room<'_, S, V>,
    key: u64,
    ids: &BTreeSet<u64>,
) -> Result<Conflict, ResolutionError<V::Error>> {
    let mut conflict = Conflict { key, event_type: String::new(), events: Vec::with_capacity(ids.len()) };
    for id in ids {
        let event = room.events.get(*id)?.event;
        if conflict.event_type.is_empty() {
            event.event_type().clone_into(&mut conflict.event_type);
        }
        conflict.events.push((event.depth(), Reverse(sha1(event.event_id().as_str())), *id));
    }
    // Sort the list by ascending depth then descending sha1(event_id).
    conflict.events.sort_unstable();
    Ok(conflict)
}

/// The outcome of a conflict whose type affects authorisation, with its key. Leaves the state as it was.
fn last_allowed<S, V>(
    room: &Room<'_, S, V>,
    state: &mut PartialState<'_>,
    conflict: &Conflict,
) -> Result<Option<(u64, u64)>, ResolutionError<V::Error>>
where
    S: NodeSource<Error = V::Error>,
    V: RoomView,
{
    let mut last = None;
    for (.., id) in &conflict.events {
        // Add the first event in the list to R. For each subsequent event in the list, check that the event
        // would be allowed by the authorisation rules for a room in state R. If it would not be allowed,
        // stop.
        if last.is_some() && !is_allowed(room, state, &room.events.get(*id)?, Otherwise::Absent)? {
            break;
        }
        // If the event would be allowed, then update R with the event and continue.
        state.set(conflict.key, *id);
        last = Some((conflict.key, *id));
    }
    state.unset(conflict.key);
    Ok(last)
}

fn sha1(text: &str) -> Sha1 {
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    let mut hash = [0; 20];
    for (to, from) in hash.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    hash
}
