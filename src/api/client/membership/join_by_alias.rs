//! `POST /join/{roomIdOrAlias}`: joins a room by its id or an alias.

use axum::extract::State;
use ruma::api::client::membership::join_room_by_id_or_alias::v3::{Request, Response};

use super::{further_content::WithFurther, named_room};
use crate::{
    api::{ApiResult, Requester, RumaResponse, own_aliases::OwnAliases},
    federation::{RemoteRooms, joins::OwnChange},
};

/// The handler.
pub async fn join(
    State(rooms): State<RemoteRooms>,
    State(aliases): State<OwnAliases>,
    requester: Requester,
    WithFurther(request, further): WithFurther<Request>,
) -> ApiResult<Response> {
    let (room_id, via) = named_room(&rooms, &aliases, request.room_id_or_alias, request.via).await?;
    let (user, room) = (requester.user_id, room_id.clone());
    rooms.join(OwnChange { user, room_id: room, via, further }).await?;
    Ok(RumaResponse(Response::new(room_id)))
}
