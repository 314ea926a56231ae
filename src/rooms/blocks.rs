//! Rooms that an administrator has blocked: nobody of this server may join them, or be invited to them. A room that
//! is being deleted is blocked until it is gone.

use ruma::{OwnedUserId, RoomId};

use super::RoomError;
use crate::storage::{
    Json, Read, Storage, StorageError, Transaction,
    records::RoomBlockRecord,
    tables::{BLOCKED_ROOMS, ROOMS_BEING_DELETED},
};

/// Knows the blocked rooms. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RoomBlocks {
    storage: Storage,
}

impl RoomBlocks {
    /// Over the store.
    pub fn new(storage: Storage) -> Self {
        Self { storage }
    }

    /// Who has blocked the room, if anybody has.
    pub fn blocked_by(&self, room_id: &RoomId) -> Result<Option<OwnedUserId>, StorageError> {
        Ok(self.storage.get(&BLOCKED_ROOMS, &room_id.to_owned())?.map(|Json(block)| block.by))
    }

    /// Blocks a room, which need not be known here.
    pub fn block(&self, room_id: &RoomId, by: OwnedUserId) -> Result<(), StorageError> {
        self.storage.write(|rows| {
            rows.put(&BLOCKED_ROOMS, &room_id.to_owned(), &Json(RoomBlockRecord { by }));
            Ok(())
        })
    }

    /// Lifts a block.
    pub fn unblock(&self, room_id: &RoomId) -> Result<(), StorageError> {
        self.storage.write(|rows| {
            rows.delete(&BLOCKED_ROOMS, &room_id.to_owned());
            Ok(())
        })
    }

    /// Refuses what would bring a user of this server into a room that is blocked or being deleted.
    pub fn check(&self, room_id: &RoomId) -> Result<(), RoomError> {
        check(&self.storage, room_id)
    }
}

/// As [`RoomBlocks::check`], over any reader.
pub fn check(reader: &impl Read, room_id: &RoomId) -> Result<(), RoomError> {
    if reader.contains(&BLOCKED_ROOMS, &room_id.to_owned())? {
        return Err(RoomError::Forbidden("This room has been blocked on this server".to_owned()));
    }
    if reader.contains(&ROOMS_BEING_DELETED, &room_id.to_owned())? {
        return Err(RoomError::Forbidden("This room is being deleted from this server".to_owned()));
    }
    Ok(())
}

/// Marks a room as being deleted, or as gone.
pub(super) fn set_being_deleted(rows: &mut Transaction<'_>, room_id: &RoomId, id: Option<[u8; 16]>) {
    match id {
        Some(id) => rows.put(&ROOMS_BEING_DELETED, &room_id.to_owned(), &id),
        None => rows.delete(&ROOMS_BEING_DELETED, &room_id.to_owned()),
    }
}
