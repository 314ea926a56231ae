//! Adds to the index what is older than it: the rooms of a database from before search.
//!
//! A room's row in `SEARCH_INDEXED` says from which key of its timeline on it is in the index; new rooms get theirs
//! with their first event. Each other is gone through from its newest event down, a few events a transaction, and a
//! restart goes on where it was. When is its caller's to say. Main type: [`SearchBacklog`].

use super::index::Reindexing;
use crate::{
    matrix::event::Event,
    rooms::{EventStore, RoomError, limits},
    storage::{
        Direction, Read, ShortEventId, ShortRoomId, Storage, StorageError, TimelineKey, Transaction,
        tables::{ROOM_HEADS, SEARCH_INDEXED, TIMELINE},
    },
};

/// All of a room is in the index.
const WHOLE: TimelineKey = TimelineKey(i64::MIN);

/// Notes that a room which gets its first event is in the index whole.
pub(in crate::rooms) fn note_first(rows: &mut Transaction<'_>, room: ShortRoomId) {
    rows.put(&SEARCH_INDEXED, &room, &WHOLE);
}

/// Goes through old rooms. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SearchBacklog {
    storage: Storage,
    events: EventStore,
}

impl SearchBacklog {
    /// Over the rooms' events.
    pub fn new(storage: Storage, events: EventStore) -> Self {
        Self { storage, events }
    }

    /// A step in the first room from `from` on that is not in the index whole: that room, from which the next step
    /// goes on, or `None` if there is none.
    pub fn step(&self, from: ShortRoomId) -> Result<Option<ShortRoomId>, RoomError> {
        for row in self.storage.scan(&ROOM_HEADS, &ROOM_HEADS.from(&from), Direction::Forward) {
            let (room, head) = row?;
            let indexed = self.storage.get(&SEARCH_INDEXED, &room)?;
            let until = indexed.unwrap_or(TimelineKey(head.newest.0.saturating_add(1)));
            if until != WHOLE {
                self.add_page(room, until)?;
                return Ok(Some(room));
            }
        }
        Ok(None)
    }

    /// Adds the newest events of a room that come before `until`.
    fn add_page(&self, room: ShortRoomId, until: TimelineKey) -> Result<(), RoomError> {
        let range = TIMELINE.prefix_until(&(room,), &(room, until));
        let rows = self.storage.scan(&TIMELINE, &range, Direction::Backward);
        let rows: Vec<_> = rows.take(limits::SEARCH_BACKLOG_EVENTS).collect::<Result<_, StorageError>>()?;
        let reached = if rows.len() < limits::SEARCH_BACKLOG_EVENTS { None } else { rows.last() };
        let reached = reached.map_or(WHOLE, |((_, key), _)| *key);
        let mut events: Vec<(TimelineKey, ShortEventId, std::sync::Arc<Event>)> =
            Vec::with_capacity(rows.len());
        for ((_, key), (short, _)) in rows {
            if let Some(stored) = self.events.get(short)? {
                events.push((key, short, stored.event));
            }
        }
        self.storage.write(|tx| {
            for (key, short, event) in &events {
                if let Some(work) = Reindexing::of_new(tx, room, *short, *key, event)? {
                    work.write(tx, None)?;
                }
            }
            tx.put(&SEARCH_INDEXED, &room, &reached);
            Ok(())
        })
    }
}
