//! `POST /knock/{roomIdOrAlias}`: asks to be let into a room.

use axum::extract::State;
use ruma::api::client::knock::knock_room::v3::{Request, Response};

use super::named_room;
use crate::{
    api::{ApiResult, Requester, Ruma, RumaResponse, own_aliases::OwnAliases},
    federation::{RemoteRooms, joins::OwnChange},
};

/// The handler.
pub async fn knock(
    State(rooms): State<RemoteRooms>,
    State(aliases): State<OwnAliases>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let (room_id, via) = named_room(&rooms, &aliases, request.room_id_or_alias, request.via).await?;
    rooms.knock(OwnChange::new(requester.user_id, room_id.clone(), via, request.reason)).await?;
    Ok(RumaResponse(Response::new(room_id)))
}
