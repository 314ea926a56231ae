//! Events that other servers are to be sent.
//!
//! An event that this server makes in a room where other servers take part gets one row, in its own transaction,
//! however many servers they are; who they are is found out when the row is worked off, by `federation/sending`.
//! Here nothing is sent. Main type: [`RoomOutbox`].

use ruma::ServerName;

use crate::storage::{
    ChangeScope, Direction, Json, Read, ShortEventId, ShortRoomId, StorageError, StreamPosition, Transaction,
    tables::{OUTBOX, ROOM_NEWEST_SENT, ROOM_SERVERS, ROOMS, SERVER_DEPARTURES},
};

/// Writes the outbox.
#[derive(Debug)]
pub struct RoomOutbox;

impl RoomOutbox {
    /// Adds an event that this server has just made, or that another server has handed to it to pass on (a join,
    /// leave or knock that was made through this server; "Joining Rooms": the resident server sends it to the
    /// others), in the event's own transaction, after the rows of its membership. `position` is the event's, and
    /// becomes its number. All servers of the room but the sender's are sent it.
    pub(crate) fn add(
        rows: &mut Transaction<'_>,
        own_name: &ServerName,
        room: ShortRoomId,
        event: ShortEventId,
        position: StreamPosition,
    ) -> Result<(), StorageError> {
        if Self::concerns_others(rows, own_name, room, position)? {
            Self::put(rows, room, event, position);
        }
        Ok(())
    }

    fn put(rows: &mut Transaction<'_>, room: ShortRoomId, event: ShortEventId, number: StreamPosition) {
        rows.put(&OUTBOX, &number, &event);
        rows.put(&ROOM_NEWEST_SENT, &room, &(number, event));
        rows.announce(ChangeScope::Outbox, number);
    }

    /// Whether another server is in the room, or was until this event. Two rows are read, whatever the room.
    fn concerns_others(
        rows: &Transaction<'_>,
        own_name: &ServerName,
        room: ShortRoomId,
        position: StreamPosition,
    ) -> Result<bool, StorageError> {
        let own = rows.short_server_id(own_name)?;
        let mut in_room =
            rows.scan(&ROOM_SERVERS, &ROOM_SERVERS.prefix(&(room,)), Direction::Forward).take(2);
        let mut departed =
            rows.scan(&SERVER_DEPARTURES, &SERVER_DEPARTURES.prefix(&(position, room)), Direction::Forward);
        let is_other = |server| Some(server) != own;
        let others = in_room.by_ref().any(|row| row.map_or(true, |((_, server), _)| is_other(server)))
            || departed.by_ref().any(|row| row.map_or(true, |((_, _, server), _)| is_other(server)));
        if !others {
            return Ok(false);
        }
        Ok(rows.get(&ROOMS, &room)?.is_some_and(|Json(record)| record.federate))
    }
}
