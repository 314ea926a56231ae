//! Events that are sticky for a while (MSC4354): told to everybody in the room, whatever the timeline's limit, and
//! whoever joins meanwhile. Written and unwritten with the event, in its transaction. Cost: one look at the event for
//! those that are not sticky.

use std::sync::Arc;

use super::limits;
use crate::{
    matrix::event::Event,
    storage::{
        Direction, Read, ShortEventId, ShortRoomId, StorageError, StreamPosition, Transaction,
        records::EventMeta, tables::STICKY_EVENTS,
    },
};

/// Adds an event that has just come, at `now_ms`, and takes away some of those whose time is over.
pub(super) fn add(
    rows: &mut Transaction<'_>,
    room: ShortRoomId,
    (short, event): (ShortEventId, &Arc<Event>),
    position: StreamPosition,
    now_ms: u64,
) -> Result<(), StorageError> {
    let Some(duration) = event.sticky_ms() else { return Ok(()) };
    let mut over = Vec::new();
    for row in rows.scan(&STICKY_EVENTS, &STICKY_EVENTS.prefix(&(room,)), Direction::Forward) {
        let (key, (_, until)) = row?;
        if until <= now_ms {
            over.push(key);
        }
        if over.len() >= limits::STICKY_REMOVED_AT_ONCE {
            break;
        }
    }
    for key in over {
        rows.delete(&STICKY_EVENTS, &key);
    }
    let until = event.origin_server_ts().min(now_ms).saturating_add(duration);
    if until > now_ms {
        rows.put(&STICKY_EVENTS, &(room, position), &(short, until));
    }
    Ok(())
}

/// A redacted event is an event as others are.
pub(super) fn remove(rows: &mut Transaction<'_>, meta: &EventMeta) {
    rows.delete(&STICKY_EVENTS, &(meta.room, meta.position));
}

/// The events of a room, with their positions, that are sticky at `now_ms` and came after `since` and not after `until`, oldest first; at
/// most [`limits::STICKY_TOLD_MAX`].
pub fn sticky_events(
    reader: &impl Read,
    room: ShortRoomId,
    (since, until): (StreamPosition, StreamPosition),
    now_ms: u64,
) -> Result<Vec<(StreamPosition, ShortEventId)>, StorageError> {
    let after = |position: StreamPosition| (room, StreamPosition(position.0.saturating_add(1)));
    let range = STICKY_EVENTS.between(&after(since), &after(until));
    let mut events = Vec::new();
    for row in reader.scan(&STICKY_EVENTS, &range, Direction::Forward) {
        let ((_, position), (event, sticky_until)) = row?;
        if events.len() >= limits::STICKY_TOLD_MAX {
            break;
        }
        if sticky_until > now_ms {
            events.push((position, event));
        }
    }
    Ok(events)
}
