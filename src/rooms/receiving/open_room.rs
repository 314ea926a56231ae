//! A room whose turn a received event has.

use std::sync::Arc;

use ruma::{OwnedRoomId, RoomId, room_version_rules::RoomVersionRules};

use super::ReceivedEvents;
use crate::{
    matrix::event::Event,
    rooms::{RoomError, resolution::ResolvedRoom, writer::RoomGuard},
    storage::{
        ShortRoomId,
        records::{RoomHead, RoomRecord},
    },
};

/// A room that nobody else writes while this lives.
pub(super) struct OpenRoom {
    pub(super) _guard: RoomGuard,
    pub(super) room: ShortRoomId,
    pub(super) room_id: OwnedRoomId,
    pub(super) record: Arc<RoomRecord>,
    pub(super) rules: RoomVersionRules,
    pub(super) create: Arc<Event>,
    pub(super) head: RoomHead,
    /// Whether what is accepted is sent to the room's other servers from here: in one transaction, as who handed
    /// the event to this server sends it to nobody else.
    pub(super) passes_on: bool,
}

impl OpenRoom {
    pub(super) fn resolved(&self) -> ResolvedRoom<'_> {
        ResolvedRoom { rules: &self.rules, create: self.record.create_event }
    }

    pub(super) fn damaged(&self, what: &'static str) -> RoomError {
        RoomError::DamagedRoom { room_id: self.room_id.clone(), what }
    }
}

impl ReceivedEvents {
    /// Waits for the turn of a room that this server has been taken into.
    pub(super) fn open(&self, room_id: &RoomId) -> Result<OpenRoom, RoomError> {
        let not_found = || RoomError::RoomNotFound(room_id.to_owned());
        let index = self.appender.index();
        let room = index.room(room_id)?.ok_or_else(not_found)?;
        let guard = self.appender.writers().enter(room);
        let head = index.head(room)?.filter(|head| !head.extremities.is_empty()).ok_or_else(not_found)?;
        self.opened(guard, room_id, head)
    }

    /// A room whose turn the caller has and whose create event is in the store.
    pub(super) fn opened(
        &self,
        guard: RoomGuard,
        room_id: &RoomId,
        head: RoomHead,
    ) -> Result<OpenRoom, RoomError> {
        let room = guard.room();
        let index = self.appender.index();
        let record = index.record(room)?.ok_or_else(|| RoomError::RoomNotFound(room_id.to_owned()))?;
        let create = self.stored(record.create_event)?.ok_or_else(|| RoomError::DamagedRoom {
            room_id: room_id.to_owned(),
            what: "its create event is missing",
        })?;
        Ok(OpenRoom {
            _guard: guard,
            room,
            room_id: room_id.to_owned(),
            rules: index.rules(room)?,
            record,
            create: create.event,
            head,
            passes_on: false,
        })
    }
}
