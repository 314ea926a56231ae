//! When something last happened in each room: what lists of rooms are ordered by.
//!
//! One small row a room, moved with each event that clients can see, in the event's own transaction. It costs
//! the same whatever the number of members; who wants a list of a user's rooms sorts them by these rows.

use crate::storage::{
    Read, ShortRoomId, StorageError, StreamPosition, Transaction,
    records::{RoomActivity, RoomKind},
    tables::{ROOM_ACTIVITY, ROOMS},
};

/// The types of events that people take for activity (MSC4186, `bump_stamp`).
const BUMP_TYPES: [&str; 9] = [
    "m.room.create",
    "m.room.message",
    "m.room.encrypted",
    "m.sticker",
    "m.call.invite",
    "m.poll.start",
    "org.matrix.msc3381.poll.start",
    "m.beacon_info",
    "org.matrix.msc3672.beacon_info",
];

/// Notes an event that clients can see from `position` on, just handed out by the same transaction.
pub fn note_event(
    rows: &mut Transaction<'_>,
    room: ShortRoomId,
    event_type: &str,
    position: StreamPosition,
) -> Result<(), StorageError> {
    let mut activity = match rows.get(&ROOM_ACTIVITY, &room)? {
        Some(activity) => activity,
        None => RoomActivity { kind: kind_of(rows, room)?, ..RoomActivity::default() },
    };
    activity.newest = position;
    if BUMP_TYPES.contains(&event_type) {
        activity.bumped = position;
    }
    rows.put(&ROOM_ACTIVITY, &room, &activity);
    Ok(())
}

/// The kind of a room, from its record.
fn kind_of(reader: &impl Read, room: ShortRoomId) -> Result<RoomKind, StorageError> {
    let record = reader.get(&ROOMS, &room)?;
    Ok(record.map_or(RoomKind::Plain, |record| RoomKind::of(record.0.room_type.as_deref())))
}
