//! What a member may do to a room's listing: asked of the room's power levels, without sending an event.

use super::{EventStore, RoomError, RoomIndex, RoomStates, Viewer};
use crate::{
    matrix::power_levels::RoomPowerLevels,
    state::tree::StateRoot,
    storage::{ShortRoomId, records::Membership},
};

/// Asks power levels. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Permissions {
    index: RoomIndex,
    events: EventStore,
    states: RoomStates,
}

impl Permissions {
    /// Over the rooms' states.
    pub fn new(index: RoomIndex, events: EventStore, states: RoomStates) -> Self {
        Self { index, events, states }
    }

    /// The power levels in force in a room; `None` when this server does not know its create event.
    pub fn power_levels(&self, room: ShortRoomId) -> Result<Option<RoomPowerLevels>, RoomError> {
        let Some(record) = self.index.record(room)? else { return Ok(None) };
        let Some(create) = self.events.get(record.create_event)? else { return Ok(None) };
        let current: StateRoot = self.index.current_state(room)?;
        let levels = match self.states.get(current, "m.room.power_levels", "")? {
            Some(levels) => self.events.get(levels)?,
            None => None,
        };
        let rules = self.index.rules(room)?;
        let levels = levels.as_ref().map(|levels| &*levels.event);
        Ok(Some(RoomPowerLevels::of_events(&create.event, levels, &rules.authorization)))
    }

    /// True when the user is joined and could send this kind of state event.
    pub fn may_set(&self, viewer: &Viewer, room: ShortRoomId, event_type: &str) -> Result<bool, RoomError> {
        let row = self.index.membership(viewer.user, room)?;
        if row.is_none_or(|row| row.membership != Membership::Join) {
            return Ok(false);
        }
        let Some(levels) = self.power_levels(room)? else { return Ok(false) };
        Ok(levels.may_send(&viewer.user_id, event_type, true).unwrap_or(false))
    }
}
