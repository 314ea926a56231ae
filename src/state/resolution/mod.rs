//! State resolution: the one state that the states of a fork come to, in every room version.
//!
//! For: [`resolve`], which takes the roots of the states after an event's previous events and returns the
//! root of the state before it, by the algorithm that the room version names ([`v1`], or [`v2`] for v2 and
//! v2.1). Steps stand in the specification's order, each named where it is done.
//!
//! Never: does I/O, lists a state, or walks an auth chain. It works on the conflicted set: conflicts are
//! what the trees' difference shows, auth chains are compared by the [chain-cover index](super::chain_cover),
//! and everything else about a state is a point read. (One exception, bounded and rare, is told in
//! `upward.rs`.)
//!
//! Main type: [`RoomView`], what the caller lets it see of a room.
//!
//! Proven by `tests/state_resolution/` against `ruma-state-res`, timed beside it by
//! `benches/state_resolution.rs`.
//!
//! # Where this differs from the letter
//! Servers must agree more than they must be right, so where all deployed servers read the text in one way,
//! so do we; each place is marked "Agreed reading".
//! - Only events with an empty state key are power events by their type.
//! - The auth chain of a power event is followed only through events of the full conflicted set.
//! - The auth chain of a state holds the events of the state itself.
//! - A rejected event that the partially resolved state holds is passed over in favour of the auth event.
//!
//! [`v1`]: https://spec.matrix.org/v1.19/rooms/v1/#state-resolution
//! [`v2`]: https://spec.matrix.org/v1.19/rooms/v2/#state-resolution

mod auth_checks;
mod conflicts;
mod error;
mod events;
mod full_set;
mod mainline;
mod power_order;
mod subgraph;
mod upward;
mod v1;
mod v2;
mod view;

pub use error::ResolutionError;
pub use view::{RoomEvent, RoomView};

use ruma::room_version_rules::{RoomVersionRules, StateResolutionVersion};

use self::{conflicts::Conflicts, events::Events};
use super::tree::{NodeSource, StateRoot, StateTree, Update};

/// What the algorithms read.
struct Room<'r, S, V: RoomView> {
    tree: &'r StateTree<S>,
    view: &'r V,
    rules: &'r RoomVersionRules,
    events: Events<'r, V>,
}

/// The state that `roots`, the states of a fork, come to: its root, and its nodes that the first of `roots`
/// does not have. Depends on the set of the roots only, not on their order or number. No roots come to the
/// empty state, equal ones to themselves.
///
/// `rules` are those of the room's version. Every event in the states must be in the chain-cover index.
pub fn resolve<S, V>(
    tree: &StateTree<S>,
    view: &V,
    rules: &RoomVersionRules,
    roots: &[StateRoot],
) -> Result<Update, ResolutionError<V::Error>>
where
    S: NodeSource<Error = V::Error>,
    V: RoomView,
{
    let Some(conflicts) = Conflicts::between(tree, roots)? else {
        let root = roots.first().copied().unwrap_or(StateRoot::EMPTY);
        return Ok(Update { root, nodes: Vec::new() });
    };
    let room = Room { tree, view, rules, events: Events::new(view, rules) };
    let changes = match &rules.state_res {
        StateResolutionVersion::V2(tweaks) => v2::resolve(&room, &conflicts, *tweaks)?,
        // Version 1; ruma names no other.
        _ => v1::resolve(&room, &conflicts)?,
    };
    Ok(tree.update(conflicts.base, &changes)?)
}
