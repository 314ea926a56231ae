//! Rooms that this server is not in, as those that are in them tell of them (server-server API, "Spaces").
//!
//! Main type: [`RemoteSpaces`]. Never: decides who may know of the room; the answer says under what rules it is.

use ruma::{
    OwnedServerName, RoomId, ServerName,
    api::federation::space::get_hierarchy::v1::{Request, Response},
};

use super::{FederationClient, SendOptions, limits};

/// Asks other servers about rooms and spaces. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RemoteSpaces {
    client: FederationClient,
    own_name: OwnedServerName,
}

impl RemoteSpaces {
    /// Asks with `client`, for `own_name`, this server.
    pub fn new(client: FederationClient, own_name: OwnedServerName) -> Self {
        Self { client, own_name }
    }

    /// A room and those in it, as the first of the servers tells that knows it; at most
    /// [`limits::SPACE_SERVERS_ASKED_MAX`] are asked, the one in the room's id last.
    pub async fn hierarchy(
        &self,
        room_id: &RoomId,
        via: &[OwnedServerName],
        suggested_only: bool,
    ) -> Option<Response> {
        let options = SendOptions { time_max: limits::SPACE_TIME_MAX, ..SendOptions::default() };
        for server in self.candidates(room_id, via) {
            let mut request = Request::new(room_id.to_owned());
            request.suggested_only = suggested_only;
            match self.client.send_with(server, request, options).await {
                Ok(answer) if answer.room.summary.room_id == room_id => return Some(answer),
                Ok(_) => tracing::debug!(%server, room = %room_id, "told of another room than asked for"),
                Err(error) => tracing::debug!(%server, room = %room_id, "does not tell of a room: {error}"),
            }
        }
        None
    }

    fn candidates<'a>(&self, room_id: &'a RoomId, via: &'a [OwnedServerName]) -> Vec<&'a ServerName> {
        let mut servers: Vec<&ServerName> = Vec::new();
        for server in via.iter().map(|server| &**server).chain(room_id.server_name()) {
            if *server != self.own_name && !servers.contains(&server) {
                servers.push(server);
            }
        }
        servers.truncate(limits::SPACE_SERVERS_ASKED_MAX);
        servers
    }
}
