//! `POST /rooms/{roomId}/join`: joins a room by its id.

use axum::extract::State;
use ruma::api::client::membership::join_room_by_id::v3::{Request, Response};

use super::further_content::WithFurther;
use crate::{
    api::{ApiResult, Requester, RumaResponse},
    federation::{RemoteRooms, joins::OwnChange},
};

/// The handler.
pub async fn join(
    State(rooms): State<RemoteRooms>,
    requester: Requester,
    WithFurther(request, further): WithFurther<Request>,
) -> ApiResult<Response> {
    let (user, room_id) = (requester.user_id, request.room_id.clone());
    rooms.join(OwnChange { user, room_id, via: Vec::new(), further }).await?;
    Ok(RumaResponse(Response::new(request.room_id)))
}
