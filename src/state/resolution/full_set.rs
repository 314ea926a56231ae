//! The full conflicted set.

use std::collections::BTreeSet;

use ruma::room_version_rules::StateResolutionV2Rules;

use super::{
    ResolutionError, Room, RoomView, conflicts::Conflicts, subgraph::conflicted_subgraph, upward::Upward,
};
use crate::state::chain_cover::{ChainPosition, ChainRange, Occupant, auth_difference};
use crate::state::limits::FULL_CONFLICTED_SET_MAX;
use crate::state::tree::NodeSource;

/// The *full conflicted set*: the union of the conflicted state set and the auth difference, and in v2.1
/// the conflicted state subgraph.
pub(super) fn full_conflicted_set<S, V>(
    room: &Room<'_, S, V>,
    conflicts: &Conflicts,
    tweaks: StateResolutionV2Rules,
) -> Result<BTreeSet<u64>, ResolutionError<V::Error>>
where
    S: NodeSource<Error = V::Error>,
    V: RoomView,
{
    let mut set = conflicts.state_set();
    let positions: Vec<ChainPosition> =
        set.iter().map(|event| room.events.position(*event)).collect::<Result<_, _>>()?;
    add_auth_difference(room, conflicts, &mut set)?;
    if tweaks.consider_conflicted_state_subgraph {
        for range in conflicted_subgraph(room, &positions)? {
            add_range(room, range, &mut set, |_| Ok(false))?;
        }
    }
    Ok(set)
}

/// Adds the *auth difference*: ∪Cᵢ − ∩Cᵢ for the auth chains Cᵢ of the states.
///
/// With U for the auth chain of the unconflicted state and Dᵢ for that of the conflicted events of state i,
/// Cᵢ = U ∪ Dᵢ, so that the difference is (∪Dᵢ − ∩Dᵢ) − U. The sets hold the auth chain of each event in
/// them, so U takes away the lower part of each range.
///
/// Agreed reading: the events of a state count into its own auth chain. That only matters for an event of the
/// unconflicted state which some states' conflicted events cite and others' don't: it is in every state, so it
/// is no part of the difference.
fn add_auth_difference<S, V>(
    room: &Room<'_, S, V>,
    conflicts: &Conflicts,
    set: &mut BTreeSet<u64>,
) -> Result<(), ResolutionError<V::Error>>
where
    S: NodeSource<Error = V::Error>,
    V: RoomView,
{
    let mut sets = Vec::with_capacity(conflicts.states);
    for state in 0..conflicts.states {
        let positions = conflicts.of_state(state).map(|event| room.events.position(event));
        sets.push(positions.collect::<Result<Vec<ChainPosition>, _>>()?);
    }
    let mut upward = Upward::new(room, conflicts);
    for mut range in auth_difference(room.view, &sets).map_err(ResolutionError::View)? {
        if is_all_in(room, range, set)? {
            continue;
        }
        range.after = last_cited(&mut upward, range)?;
        let is_unconflicted = |occupant: Occupant| -> Result<bool, ResolutionError<V::Error>> {
            Ok(conflicts.unconflicted(room.tree, occupant.state_key)? == Some(occupant.event))
        };
        add_range(room, range, set, is_unconflicted)?;
    }
    Ok(())
}

/// Whether a range adds nothing to the set.
fn is_all_in<S, V: RoomView>(
    room: &Room<'_, S, V>,
    range: ChainRange,
    set: &BTreeSet<u64>,
) -> Result<bool, ResolutionError<V::Error>> {
    if range.len() > set.len() as u64 {
        return Ok(false);
    }
    for position in range.positions() {
        let occupant = room.view.event_at(position).map_err(ResolutionError::View)?;
        if occupant.is_none_or(|occupant| !set.contains(&occupant.event)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The last sequence of the range that the unconflicted state cites, or the one before the range: what
/// cites an event also cites those before it in its chain, so halving finds it.
fn last_cited<S, V>(
    upward: &mut Upward<'_, '_, S, V>,
    range: ChainRange,
) -> Result<u64, ResolutionError<V::Error>>
where
    S: NodeSource<Error = V::Error>,
    V: RoomView,
{
    let (mut cited, mut last) = (range.after, range.last);
    while cited < last {
        let middle = last - (last - cited) / 2;
        if upward.is_cited(ChainPosition { chain: range.chain, sequence: middle })? {
            cited = middle;
        } else {
            last = middle - 1;
        }
    }
    Ok(cited)
}

/// Adds the events of a range but for those that `is_left_out`.
fn add_range<S, V: RoomView>(
    room: &Room<'_, S, V>,
    range: ChainRange,
    set: &mut BTreeSet<u64>,
    is_left_out: impl Fn(Occupant) -> Result<bool, ResolutionError<V::Error>>,
) -> Result<(), ResolutionError<V::Error>> {
    if range.len() > FULL_CONFLICTED_SET_MAX as u64 {
        return Err(ResolutionError::TooManyConflicts);
    }
    for position in range.positions() {
        let occupant = room.view.event_at(position).map_err(ResolutionError::View)?;
        let occupant = occupant.ok_or(ResolutionError::ChainGap(range.chain))?;
        if !is_left_out(occupant)? {
            set.insert(occupant.event);
        }
        if set.len() > FULL_CONFLICTED_SET_MAX {
            return Err(ResolutionError::TooManyConflicts);
        }
    }
    Ok(())
}
