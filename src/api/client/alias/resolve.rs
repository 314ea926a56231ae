//! `GET /directory/room/{roomAlias}`: the room behind an alias of this server or another, for anybody.

use axum::extract::State;
use ruma::{
    OwnedRoomAliasId, OwnedRoomId, OwnedServerName,
    api::client::alias::get_alias::v3::{Request, Response},
};

use crate::{
    api::{ApiError, ApiResult, Ruma, RumaResponse, own_aliases::OwnAliases},
    federation::RemoteRooms,
};

/// The handler.
pub async fn resolve(
    State(aliases): State<OwnAliases>,
    State(rooms): State<RemoteRooms>,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let (room_id, servers) = resolve_alias(&rooms, &aliases, request.room_alias).await?;
    Ok(RumaResponse(Response::new(room_id, servers)))
}

/// The room behind an alias, and servers that are in it.
pub(in crate::api::client) async fn resolve_alias(
    rooms: &RemoteRooms,
    aliases: &OwnAliases,
    alias: OwnedRoomAliasId,
) -> Result<(OwnedRoomId, Vec<OwnedServerName>), ApiError> {
    if rooms.is_own_alias(&alias) {
        return aliases.resolve(alias).await;
    }
    Ok(rooms.resolve_alias(alias).await?)
}
