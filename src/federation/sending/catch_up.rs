//! What a server that was away has missed.
//!
//! A server for which too much waits gets the newest event of each room it is in, and asks for those before it
//! itself ("Retrieving missing events"). An event of this server follows on all its earlier ones of the room, so
//! one a room is enough. Rooms are taken in the order of those events, so that the row's `delivered` rises with
//! each transaction, and nothing but the transaction at hand is in memory.

use std::collections::BinaryHeap;

use super::{Sender, limits, prepare::Chosen};
use crate::storage::{
    Direction, Json, Read, ShortEventId, ShortServerId, StorageError, StreamPosition,
    tables::{DESTINATIONS, EVENT_META, ROOM_NEWEST_SENT, ROOM_SERVERS, ROOMS_LOST, SERVER_ROOMS},
};

impl Sender {
    /// The oldest of what the server lacks after `delivered`. From here on new events are kept for it again, so
    /// that if all that it lacks fits into this transaction, it has caught up.
    pub(super) fn choose_missed(
        &self,
        server: ShortServerId,
        delivered: u64,
    ) -> Result<Chosen, StorageError> {
        self.collect_anew(server)?;
        let mut oldest = BinaryHeap::<(u64, ShortEventId)>::new();
        let mut completes = true;
        let mut offer = |number: StreamPosition, event| {
            if number.0 > delivered {
                oldest.push((number.0, event));
                if oldest.len() > limits::PDUS_MAX {
                    oldest.pop();
                    completes = false;
                }
            }
        };
        for row in self.storage.scan(&SERVER_ROOMS, &SERVER_ROOMS.prefix(&(server,)), Direction::Forward) {
            let ((_, room), ()) = row?;
            let Some((number, event)) = self.storage.get(&ROOM_NEWEST_SENT, &room)? else { continue };
            let since = self.storage.get(&ROOM_SERVERS, &(room, server))?.map(|(_, since)| since);
            if since.is_some_and(|since| since <= number) {
                offer(number, event);
            }
        }
        for row in self.storage.scan(&ROOMS_LOST, &ROOMS_LOST.prefix(&(server,)), Direction::Forward) {
            let (_, (number, event)) = row?;
            offer(number, event);
        }
        let mut events = oldest.into_sorted_vec();
        events.dedup();
        Ok(Chosen { events, completes })
    }

    /// Keeps new events for a server from now on. Of those kept before, what the rooms have newest says as much, but
    /// for rooms that the server has been made to leave meanwhile: those are noted.
    fn collect_anew(&self, server: ShortServerId) -> Result<(), StorageError> {
        // The outbox must not be pruned between the two steps.
        let _housekeeping = self.housekeeping();
        let events = self.queues.collect(server);
        if events.is_empty() {
            return Ok(());
        }
        self.storage.write(|rows| {
            for (number, event) in events {
                Self::note_lost_room(rows, server, number, event)?;
            }
            Ok(())
        })
    }

    /// Marks a server as behind: what waits for it goes from memory. Departures among it are noted, since the rooms
    /// that the server is not in any more are not looked at later.
    pub(super) fn fall_behind(&self, server: ShortServerId) -> Result<(), StorageError> {
        // The outbox must not be pruned between the two steps.
        let _housekeeping = self.housekeeping();
        let events = self.queues.fall_behind(server);
        self.storage.write(|rows| {
            let mut row = rows.get(&DESTINATIONS, &server)?.map(|Json(row)| row).unwrap_or_default();
            row.is_behind = true;
            rows.put(&DESTINATIONS, &server, &Json(row));
            for (number, event) in events {
                Self::note_lost_room(rows, server, number, event)?;
            }
            Ok(())
        })
    }

    /// Notes an event for a server that is behind, if the server is not in the event's room any more.
    pub(super) fn note_lost_room(
        rows: &mut crate::storage::Transaction<'_>,
        server: ShortServerId,
        number: u64,
        event: ShortEventId,
    ) -> Result<(), StorageError> {
        let Some(meta) = rows.get(&EVENT_META, &event)? else { return Ok(()) };
        if !rows.contains(&ROOM_SERVERS, &(meta.room, server))? {
            rows.put(&ROOMS_LOST, &(server, meta.room), &(StreamPosition(number), event));
        }
        Ok(())
    }
}
