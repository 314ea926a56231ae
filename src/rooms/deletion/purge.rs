//! The second half of a deletion: everything that is stored of the room is removed.
//!
//! First what stands under the room's number and its users', then the events with all that stands under theirs,
//! at last the rows by which the room is known. Until then the room's rules are known, so nobody who happens to
//! read one of its events meets half a room.

use super::{DeletionId, RoomDeletions, rows};
use crate::{
    rooms::{RoomError, limits},
    storage::{
        Direction, Json, Read, ShortEventId, ShortRoomId, StorageError,
        records::RoomDeletionRecord,
        tables::{EVENT_META, ROOM_DELETIONS},
    },
};

impl RoomDeletions {
    pub(super) fn purge(&self, id: DeletionId, record: &mut RoomDeletionRecord) -> Result<(), RoomError> {
        let Some(room) = self.storage().short_room_id(&record.room_id)? else { return Ok(()) };
        if !record.is_index_removed {
            while self.storage().write(|tx| rows::remove_indices(tx, room))? {}
            record.is_index_removed = true;
            self.save(id, record)?;
        }
        while self.purge_events(id, room, record)? {}
        self.storage().write(|tx| rows::remove_room(tx, room))?;
        let appender = &self.inner.sources.appender;
        appender.index().forget(room);
        appender.events().forget_all();
        Ok(())
    }

    /// Looks at some events and removes those of the room; false when there are no more to look at.
    pub(super) fn purge_events(
        &self,
        id: DeletionId,
        room: ShortRoomId,
        record: &mut RoomDeletionRecord,
    ) -> Result<bool, RoomError> {
        let next = ShortEventId(record.looked_at_to.saturating_add(1));
        let scanned = self.storage().scan(&EVENT_META, &EVENT_META.from(&next), Direction::Forward);
        let mut found = Vec::new();
        let mut is_end = true;
        for (count, row) in scanned.enumerate() {
            if count >= limits::EVENTS_LOOKED_AT_PER_STEP || found.len() >= limits::EVENTS_PURGED_PER_STEP {
                is_end = false;
                break;
            }
            let (short, meta) = row?;
            record.looked_at_to = short.0;
            if meta.room == room {
                found.push((short, meta));
            }
        }
        record.events_removed += found.len() as u64;
        let saved = record.clone();
        self.storage().write(|tx| {
            for (short, meta) in &found {
                rows::remove_event(tx, *short, meta)?;
            }
            tx.put(&ROOM_DELETIONS, &id, &Json(saved));
            Ok::<_, StorageError>(())
        })?;
        Ok(!is_end)
    }
}
