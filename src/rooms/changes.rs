//! The order in which rooms last changed: one row a room, moved to the end by every change that a member's
//! client may have to be told of.

use crate::storage::{
    Read, ShortRoomId, StorageError, StreamPosition, Transaction,
    tables::{ROOM_CHANGE_POSITIONS, ROOM_CHANGES},
};

/// Moves the room's row to `position`, just handed out by the same transaction. Announcing is the caller's.
pub fn mark_changed(
    tx: &mut Transaction<'_>,
    room: ShortRoomId,
    position: StreamPosition,
) -> Result<(), StorageError> {
    if let Some(before) = tx.get(&ROOM_CHANGE_POSITIONS, &room)? {
        tx.delete(&ROOM_CHANGES, &before);
    }
    tx.put(&ROOM_CHANGES, &position, &room);
    tx.put(&ROOM_CHANGE_POSITIONS, &room, &position);
    Ok(())
}
