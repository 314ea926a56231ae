//! `GET /directory/room/{roomAlias}`: the room behind an alias of this server or another, for anybody.

use axum::extract::State;
use ruma::{
    OwnedRoomAliasId, OwnedRoomId, OwnedServerName,
    api::client::alias::get_alias::v3::{Request, Response},
};

use crate::{
    api::{ApiError, ApiResult, Ruma, RumaResponse, blocking},
    federation::RemoteRooms,
    rooms::Aliases,
};

/// The handler.
pub async fn resolve(
    State(aliases): State<Aliases>,
    State(rooms): State<RemoteRooms>,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let (room_id, servers) = resolve_alias(&rooms, aliases, request.room_alias).await?;
    Ok(RumaResponse(Response::new(room_id, servers)))
}

/// The room behind an alias, and servers that are in it.
pub(in crate::api::client) async fn resolve_alias(
    rooms: &RemoteRooms,
    aliases: Aliases,
    alias: OwnedRoomAliasId,
) -> Result<(OwnedRoomId, Vec<OwnedServerName>), ApiError> {
    if rooms.is_own_alias(&alias) {
        return blocking::run(move || aliases.resolve(&alias)).await;
    }
    Ok(rooms.resolve_alias(alias).await?)
}
