//! Servers of rooms: the rows follow from the joined members.

use std::collections::BTreeMap;

use ruma::OwnedServerName;

use super::{Checker, memberships::Members};
use crate::storage::{
    Direction, Read, ShortRoomId, ShortServerId, StorageError, StreamPosition, Transaction,
    records::Membership,
    tables::{ROOM_SERVERS, SERVER_ROOMS},
};

impl Checker<'_> {
    /// What is wrong with the rows of a room whose state has the members `expected`.
    pub(super) fn server_problems(
        &self,
        room: ShortRoomId,
        expected: &Members,
    ) -> Result<Vec<String>, StorageError> {
        let mut problems = Vec::new();
        let expected = self.servers_of(expected);
        let mut listed = BTreeMap::new();
        for row in self.storage.scan(&ROOM_SERVERS, &ROOM_SERVERS.prefix(&(room,)), Direction::Forward) {
            let ((_, server), (count, _)) = row?;
            let name = self.storage.server_name(server)?;
            if !self.storage.contains(&SERVER_ROOMS, &(server, room))? {
                problems.push(format!("it is missing among the rooms of the server {name}"));
            }
            listed.insert(name, count);
        }
        if listed != expected {
            problems.push(format!("{} servers are listed, its state has {}", listed.len(), expected.len()));
        }
        Ok(problems)
    }

    /// Writes the rows anew. Since when a server has been in the room is kept where a row is there.
    pub(super) fn rebuild_servers(
        &self,
        rows: &mut Transaction<'_>,
        room: ShortRoomId,
        expected: &Members,
    ) -> Result<(), StorageError> {
        let range = ROOM_SERVERS.prefix(&(room,));
        let stored = self.storage.scan(&ROOM_SERVERS, &range, Direction::Forward);
        let mut since = BTreeMap::<ShortServerId, StreamPosition>::new();
        for row in stored {
            let ((_, server), (_, position)) = row?;
            since.insert(server, position);
            rows.delete(&ROOM_SERVERS, &(room, server));
            rows.delete(&SERVER_ROOMS, &(server, room));
        }
        for (name, count) in self.servers_of(expected) {
            let server = rows.intern_server(&name)?;
            let position = since.get(&server).copied().unwrap_or_default();
            rows.put(&ROOM_SERVERS, &(room, server), &(count, position));
            rows.put(&SERVER_ROOMS, &(server, room), &());
        }
        Ok(())
    }

    /// The servers of the joined members, with how many each has.
    fn servers_of(&self, members: &Members) -> BTreeMap<OwnedServerName, u64> {
        let mut servers = BTreeMap::new();
        for (user, (membership, _)) in members {
            if *membership != Membership::Join {
                continue;
            }
            if let Ok(user) = self.storage.user_id(*user) {
                *servers.entry(user.server_name().to_owned()).or_default() += 1;
            }
        }
        servers
    }
}
