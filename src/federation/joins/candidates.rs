//! Which servers to ask about a room.

use ruma::{OwnedServerName, RoomId, ServerName, UserId};

use super::RemoteRooms;
use crate::{
    federation::limits,
    rooms::RoomError,
    storage::{Json, Read, tables::STRIPPED_STATE},
};

/// Servers in the order in which they are asked: each once, never this one, and not too many.
#[derive(Debug, Default)]
struct Candidates(Vec<OwnedServerName>);

impl Candidates {
    fn add(&mut self, own: &ServerName, server: &ServerName) {
        let is_known = self.0.iter().any(|known| known == server);
        if server != own && !is_known && self.0.len() < limits::JOIN_CANDIDATES_MAX {
            self.0.push(server.to_owned());
        }
    }
}

impl RemoteRooms {
    /// Those that the user names and the one that has invited them. Where that is none: the one that the room's
    /// id names, and those that were in the room when this server last was. With `and_known`, these as well.
    pub(super) fn candidates(
        &self,
        user: &UserId,
        room_id: &RoomId,
        via: &[OwnedServerName],
        and_known: bool,
    ) -> Result<Vec<OwnedServerName>, RoomError> {
        let own = self.appender().server_name();
        let mut candidates = Candidates::default();
        for server in via {
            candidates.add(own, server);
        }
        for server in self.inviting_servers(user, room_id)? {
            candidates.add(own, &server);
        }
        if candidates.0.is_empty() || and_known {
            if let Some(server) = room_id.server_name() {
                candidates.add(own, server);
            }
            if let Some(room) = self.appender().index().room(room_id)? {
                for server in self.0.servers.servers(room).take(limits::JOIN_CANDIDATES_MAX) {
                    candidates.add(own, &server?);
                }
            }
        }
        Ok(candidates.0)
    }

    /// The servers of those who sent what this server knows of a room that it is not in: the invite, and the
    /// state that came with it or with a knock.
    fn inviting_servers(&self, user: &UserId, room_id: &RoomId) -> Result<Vec<OwnedServerName>, RoomError> {
        let mut servers = Vec::new();
        if let Some(event) = self.member_event(user, room_id)?
            && event.event.membership().as_deref() == Some("invite")
        {
            servers.push(event.event.sender().server_name().to_owned());
        }
        let (index, storage) = (self.appender().index(), self.appender().storage());
        let (Some(room), Some(user)) = (index.room(room_id)?, storage.short_user_id(user)?) else {
            return Ok(servers);
        };
        let shown = storage.get(&STRIPPED_STATE, &(user, room))?.map(|Json(shown)| shown);
        for event in shown.unwrap_or_default() {
            #[derive(serde::Deserialize)]
            struct Sender {
                sender: ruma::OwnedUserId,
            }
            if let Ok(event) = serde_json::from_str::<Sender>(event.get()) {
                servers.push(event.sender.server_name().to_owned());
            }
        }
        Ok(servers)
    }
}
