//! The stream of device list changes: which users' identity or cross-signing keys changed, by position.
//!
//! A user has one row, the newest change, so that the stream is as long as there are users, and who reads it
//! from an old position finds each user once. Who is told of a change is the reader's business: this knows no
//! rooms.

use crate::storage::{
    ChangeScope, Direction, Read, ShortUserId, StorageError, StreamPosition, Transaction, tables,
};

/// Moves a user to the end of the stream and wakes those who share a room with the user.
pub fn mark_changed(tx: &mut Transaction<'_>, user: ShortUserId) -> Result<StreamPosition, StorageError> {
    if let Some(before) = tx.get(&tables::DEVICE_LIST_POSITIONS, &user)? {
        tx.delete(&tables::DEVICE_LIST_CHANGES, &before);
    }
    let position = tx.next_position();
    tx.put(&tables::DEVICE_LIST_CHANGES, &position, &user);
    tx.put(&tables::DEVICE_LIST_POSITIONS, &user, &position);
    tx.announce(ChangeScope::DeviceListOf(user), position);
    Ok(position)
}

/// The users whose newest change came after `since`. There is no upper bound: a row moves while this reads.
pub fn changed_since(
    reader: &impl Read,
    since: StreamPosition,
) -> impl Iterator<Item = Result<ShortUserId, StorageError>> {
    let range = tables::DEVICE_LIST_CHANGES.from(&StreamPosition(since.0.saturating_add(1)));
    let rows = reader.scan(&tables::DEVICE_LIST_CHANGES, &range, Direction::Forward);
    rows.map(|row| row.map(|(_, user)| user))
}
