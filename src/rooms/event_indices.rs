//! Indices over what events say, written in the transaction that gives an event its place in a room's
//! timeline, whoever sent it, and unwritten by the one that redacts it. Each costs a fixed number of rows.

use super::{
    RoomError, relations,
    search::{backlog, index::Reindexing},
    sticky,
};
use crate::{
    matrix::event::Event,
    storage::{
        ShortEventId, ShortRoomId, StorageError, TimelineKey, Transaction, records::EventMeta,
        tables::EVENT_TIMES,
    },
};

/// The place of a room's first live event.
const FIRST: TimelineKey = TimelineKey(1);

/// Adds an accepted event that has just been given a place in its room's timeline.
pub(super) fn add(
    rows: &mut Transaction<'_>,
    room: ShortRoomId,
    short: ShortEventId,
    key: TimelineKey,
    event: &Event,
) -> Result<(), RoomError> {
    rows.put(&EVENT_TIMES, &(room, event.origin_server_ts(), key), &short);
    if key == FIRST {
        backlog::note_first(rows, room);
    }
    let searched = Reindexing::of_new(rows, room, short, key, event)?;
    relations::index::add(rows, room, short, key, event)?;
    if let Some(searched) = searched {
        searched.write(rows, None)?;
    }
    Ok(())
}

/// Removes what an event said that is being redacted; while the store still has its text.
pub(super) fn remove(
    rows: &mut Transaction<'_>,
    short: ShortEventId,
    meta: &EventMeta,
) -> Result<(), StorageError> {
    let Some(key) = meta.timeline else { return Ok(()) };
    sticky::remove(rows, meta);
    let searched = Reindexing::of_redacted(rows, meta, short, key)?;
    relations::index::remove(rows, meta, short, key)?;
    searched.map_or(Ok(()), |searched| searched.write(rows, Some(short)))
}
