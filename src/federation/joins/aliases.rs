//! Aliases of other servers ([querying for information]).
//!
//! [querying for information]: https://spec.matrix.org/v1.19/server-server-api/#querying-for-information

use ruma::{
    OwnedRoomAliasId, OwnedRoomId, OwnedServerName, RoomAliasId, api::federation::query::get_room_information,
};

use super::{RemoteError, RemoteRooms};
use crate::federation::{FederationError, limits};

impl RemoteRooms {
    /// Whether an alias is this server's to resolve.
    pub fn is_own_alias(&self, alias: &RoomAliasId) -> bool {
        alias.server_name() == self.appender().server_name()
    }

    /// The room behind another server's alias, and servers through which it can be joined, the alias's among
    /// them.
    pub async fn resolve_alias(
        &self,
        alias: OwnedRoomAliasId,
    ) -> Result<(OwnedRoomId, Vec<OwnedServerName>), RemoteError> {
        let server = alias.server_name().to_owned();
        let request = get_room_information::v1::Request::new(alias.clone());
        let answer = self.0.client.send(&server, request).await.map_err(|error| match error {
            FederationError::NotAllowed | FederationError::Discovery(_) => RemoteError::UnknownAlias(alias),
            other => RemoteError::of(other),
        })?;
        let mut servers = answer.servers;
        servers.truncate(limits::ALIAS_SERVERS_MAX);
        if !servers.contains(&server) {
            servers.push(server);
        }
        Ok((answer.room_id, servers))
    }
}
