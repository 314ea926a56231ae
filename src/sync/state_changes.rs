//! Which state events a client needs beside a timeline window to know the room's state.
//!
//! Costs the difference of the states: shared parts of their trees are skipped. Only a client that starts
//! with a room, or asks for the full state, gets all of it, and its members only if it doesn't load them
//! lazily.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::window::Window;
use crate::{
    rooms::{RoomError, RoomStates, VisibleEvent},
    state::tree::StateRoot,
    storage::{ShortEventId, ShortStateKeyId},
};

/// State events by type and state key.
pub type StateEntries = BTreeMap<ShortStateKeyId, ShortEventId>;

/// What a client needs to be told.
#[derive(Debug, Default)]
pub struct StateChanges {
    /// The state events to send.
    pub entries: StateEntries,
    /// All keys that changed in the span, in the timeline or before it.
    pub changed: BTreeSet<ShortStateKeyId>,
}

/// How much of the state is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// All of it, and not only what changed since the span's start.
    pub full: bool,
    /// With all members, if it is all of it.
    pub members: bool,
    /// As of the window's end, and not of its start.
    pub at_end: bool,
}

/// The state events to send beside a window.
pub fn state_changes(
    states: &RoomStates,
    window: &Window,
    extent: Extent,
) -> Result<StateChanges, RoomError> {
    let since = window.state_since.filter(|_| !extent.full);
    let target = if extent.at_end { window.state_end } else { window.state_before };
    let mut changes = StateChanges::default();
    match since {
        Some(since) => changes.add_difference(states, since, target)?,
        None => changes.entries = whole(states, target, extent.members)?,
    }
    if !extent.at_end {
        changes.add_untold(states, window)?;
    }
    Ok(changes)
}

fn whole(states: &RoomStates, root: StateRoot, members: bool) -> Result<StateEntries, RoomError> {
    let mut entries: StateEntries = states.without_members(root)?.into_iter().collect();
    if members {
        entries.extend(states.members(root)?);
    }
    Ok(entries)
}

impl StateChanges {
    fn add_difference(
        &mut self,
        states: &RoomStates,
        before: StateRoot,
        after: StateRoot,
    ) -> Result<(), RoomError> {
        for difference in states.diff(before, after)? {
            self.changed.insert(difference.key);
            if let Some(event) = difference.after {
                self.entries.insert(difference.key, event);
            }
        }
        Ok(())
    }

    /// Adds what the window's own events do not tell of the state at its end: events that a filter or the
    /// room's visibility took out of the timeline.
    fn add_untold(&mut self, states: &RoomStates, window: &Window) -> Result<(), RoomError> {
        if window.state_before == window.state_end {
            return Ok(());
        }
        let told: HashSet<ShortEventId> = window.events.iter().map(VisibleEvent::short).collect();
        for difference in states.diff(window.state_before, window.state_end)? {
            self.changed.insert(difference.key);
            if let Some(event) = difference.after.filter(|event| !told.contains(event)) {
                self.entries.insert(difference.key, event);
            }
        }
        Ok(())
    }

    /// True when members came, went or changed in the span.
    pub fn changes_members(&self) -> bool {
        self.changed.range(ShortStateKeyId::FIRST_MEMBER..).next().is_some()
    }
}
