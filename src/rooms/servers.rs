//! Which servers take part in a room: those with a joined member.
//!
//! A row a room and server counts the server's joined members; it is kept in the transaction of each membership
//! change, so that nobody ever walks a room's members to learn whom to tell. The row says too since which
//! position the server has been in the room, and a server whose last member leaves gets a row in the table of
//! departures: so it is known for each event, however late it is sent, which servers were in the room at it.
//! Main type: [`RoomServers`].

use ruma::{OwnedRoomId, OwnedServerName, ServerName};

use crate::storage::{
    Direction, Read, ShortRoomId, ShortServerId, Storage, StorageError, StreamPosition, Transaction,
    tables::{ROOM_SERVERS, SERVER_DEPARTURES, SERVER_ROOMS},
};

/// Tells which servers are in which rooms, this one included. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RoomServers {
    storage: Storage,
}

impl RoomServers {
    /// Over `storage`.
    pub fn new(storage: Storage) -> Self {
        Self { storage }
    }

    /// The servers with a joined member in the room, in the order in which this server first heard of them;
    /// this one is among them while it takes part. One row each.
    pub fn servers(
        &self,
        room: ShortRoomId,
    ) -> impl Iterator<Item = Result<OwnedServerName, StorageError>> + use<'_> {
        self.short_servers(room).map(|server| self.storage.server_name(server?))
    }

    /// As [`servers`](Self::servers), by short id.
    pub fn short_servers(
        &self,
        room: ShortRoomId,
    ) -> impl Iterator<Item = Result<ShortServerId, StorageError>> + use<'_> {
        let rows = self.storage.scan(&ROOM_SERVERS, &ROOM_SERVERS.prefix(&(room,)), Direction::Forward);
        rows.map(|row| row.map(|((_, server), _)| server))
    }

    /// How many joined members a server has in a room.
    pub fn joined_members(&self, room: ShortRoomId, server: &ServerName) -> Result<u64, StorageError> {
        let Some(server) = self.storage.short_server_id(server)? else { return Ok(0) };
        Ok(self.storage.get(&ROOM_SERVERS, &(room, server))?.map_or(0, |(count, _)| count))
    }

    /// True when a user of the server is joined to the room.
    pub fn is_in_room(&self, room: ShortRoomId, server: &ServerName) -> Result<bool, StorageError> {
        Ok(self.joined_members(room, server)? > 0)
    }

    /// The rooms that a server is in, as far as this one knows, in the order of their short ids.
    pub fn rooms_of_server(
        &self,
        server: &ServerName,
    ) -> Result<impl Iterator<Item = Result<ShortRoomId, StorageError>> + use<'_>, StorageError> {
        let server = self.storage.short_server_id(server)?;
        Ok(server.into_iter().flat_map(|server| self.rooms_of_short_server(server)))
    }

    /// As [`rooms_of_server`](Self::rooms_of_server), by short id.
    pub fn rooms_of_short_server(
        &self,
        server: ShortServerId,
    ) -> impl Iterator<Item = Result<ShortRoomId, StorageError>> + use<'_> {
        let rows = self.storage.scan(&SERVER_ROOMS, &SERVER_ROOMS.prefix(&(server,)), Direction::Forward);
        rows.map(|row| row.map(|((_, room), ())| room))
    }

    /// As [`rooms_of_server`](Self::rooms_of_server), by room id.
    pub fn room_ids_of_server(&self, server: &ServerName) -> Result<Vec<OwnedRoomId>, StorageError> {
        self.rooms_of_server(server)?.map(|room| self.storage.room_id(room?)).collect()
    }

    /// Adds a joined member of `server` or takes one away, in the transaction of the member's row. `position` is
    /// that of the event by which it happened.
    pub(crate) fn member_changed(
        rows: &mut Transaction<'_>,
        room: ShortRoomId,
        server: &ServerName,
        is_joined: bool,
        position: StreamPosition,
    ) -> Result<(), StorageError> {
        let server = rows.intern_server(server)?;
        let key = (room, server);
        let before = rows.get(&ROOM_SERVERS, &key)?;
        match (before, is_joined) {
            (None, true) => {
                rows.put(&ROOM_SERVERS, &key, &(1, position));
                rows.put(&SERVER_ROOMS, &(server, room), &());
            }
            (Some((count, since)), true) => rows.put(&ROOM_SERVERS, &key, &(count + 1, since)),
            (Some((count, since)), false) if count > 1 => {
                rows.put(&ROOM_SERVERS, &key, &(count - 1, since));
            }
            (Some((_, since)), false) => {
                rows.delete(&ROOM_SERVERS, &key);
                rows.delete(&SERVER_ROOMS, &(server, room));
                rows.put(&SERVER_DEPARTURES, &(position, room, server), &since);
            }
            (None, false) => {}
        }
        Ok(())
    }
}

impl RoomServers {
    /// Notes that the event at `position`, in whose transaction this is, concerns a server that may not be in the
    /// room: an invite of one of its users is taken back, or a knock refused. To those who send the event, it counts
    /// as a server that was in the room up to then.
    pub(crate) fn outsider_concerned(
        rows: &mut Transaction<'_>,
        room: ShortRoomId,
        server: &ServerName,
        position: StreamPosition,
    ) -> Result<(), StorageError> {
        let server = rows.intern_server(server)?;
        if !rows.contains(&ROOM_SERVERS, &(room, server))? {
            rows.put(&SERVER_DEPARTURES, &(position, room, server), &position);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const ROOM: ShortRoomId = ShortRoomId(1);

    fn name(number: u8) -> OwnedServerName {
        OwnedServerName::try_from(format!("s{number}.example.org")).unwrap()
    }

    proptest! {
        /// Whatever members come and go, the rows say what counting the members would.
        #[test]
        fn rows_agree_with_a_count(steps in prop::collection::vec((0u8..4, 0u8..3), 0..60)) {
            let storage = Storage::in_memory().unwrap();
            let servers = RoomServers::new(storage.clone());
            let mut joined = BTreeMap::<u8, std::collections::BTreeSet<u8>>::new();
            let mut departures = 0;
            for (server, user) in steps {
                let members = joined.entry(server).or_default();
                let joins = !members.remove(&user);
                if joins {
                    members.insert(user);
                }
                departures += usize::from(members.is_empty());
                storage
                    .write(|rows| {
                        let position = rows.next_position();
                        RoomServers::member_changed(rows, ROOM, &name(server), joins, position)
                    })
                    .unwrap();
            }
            for server in 0..4 {
                let members = joined.get(&server).map_or(0, |members| members.len() as u64);
                prop_assert_eq!(servers.joined_members(ROOM, &name(server)).unwrap(), members);
                prop_assert_eq!(servers.is_in_room(ROOM, &name(server)).unwrap(), members > 0);
                let rooms = servers.rooms_of_server(&name(server)).unwrap().count();
                prop_assert_eq!(rooms, usize::from(members > 0));
            }
            let listed = servers.servers(ROOM).count();
            prop_assert_eq!(listed, joined.values().filter(|members| !members.is_empty()).count());
            let rows = storage.scan(&SERVER_DEPARTURES, &SERVER_DEPARTURES.all(), Direction::Forward);
            prop_assert_eq!(rows.count(), departures);
        }
    }
}
