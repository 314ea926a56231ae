//! The room's current state as it was at a place of its timeline.
//!
//! A live event's place is where this server received it. The room's state right before is mostly the one that
//! the event itself follows ([`EventMeta::state_before`](crate::storage::records::EventMeta)); where the room
//! had forked it is another, which is kept in `FORKED_STATES`. Main type: [`StateHistory`].

use super::{EventStore, RoomError, RoomIndex};
use crate::{
    state::tree::StateRoot,
    storage::{
        Direction, Read, ShortEventId, ShortRoomId, Storage, TimelineKey,
        tables::{FORKED_STATES, TIMELINE},
    },
};

/// Reads former current states. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StateHistory {
    storage: Storage,
    index: RoomIndex,
    events: EventStore,
}

impl StateHistory {
    /// Over the rooms' timelines.
    pub fn new(storage: Storage, index: RoomIndex, events: EventStore) -> Self {
        Self { storage, index, events }
    }

    /// The room's state right before the event that its timeline has at `key`.
    pub fn before(
        &self,
        room: ShortRoomId,
        key: TimelineKey,
        event: ShortEventId,
    ) -> Result<StateRoot, RoomError> {
        if let Some(root) = self.storage.get(&FORKED_STATES, &(room, key))? {
            return Ok(StateRoot::from_bytes(root));
        }
        match self.events.meta(event)? {
            Some(meta) => Ok(StateRoot::from_bytes(meta.state_before)),
            None => Ok(self.index.current_state(room)?),
        }
    }

    /// The room's state right before the first event at `key` or later; `None` if there is no such event, so
    /// that it is the current one.
    pub fn at(&self, room: ShortRoomId, key: TimelineKey) -> Result<Option<StateRoot>, RoomError> {
        let range = TIMELINE.prefix_from(&(room,), &(room, key));
        let next = self.storage.scan(&TIMELINE, &range, Direction::Forward).next().transpose()?;
        next.map(|((_, key), (event, _))| self.before(room, key, event)).transpose()
    }
}
