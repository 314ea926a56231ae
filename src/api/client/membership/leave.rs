//! `POST /rooms/{roomId}/leave`: leaves a room, or turns an invite down.

use axum::extract::State;
use ruma::api::client::membership::leave_room::v3::{Request, Response};

use crate::{
    api::{ApiResult, Requester, Ruma, RumaResponse},
    federation::{RemoteRooms, joins::OwnChange},
};

/// The handler.
pub async fn leave(
    State(rooms): State<RemoteRooms>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    rooms.leave(OwnChange::new(requester.user_id, request.room_id, Vec::new(), request.reason)).await?;
    Ok(RumaResponse(Response::new()))
}
