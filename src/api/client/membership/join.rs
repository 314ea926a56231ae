//! `POST /rooms/{roomId}/join`: joins a room by its id.

use axum::extract::State;
use ruma::api::client::membership::join_room_by_id::v3::{Request, Response};

use crate::{
    api::{ApiResult, Requester, Ruma, RumaResponse, blocking},
    rooms::Memberships,
};

/// The handler.
pub async fn join(
    State(memberships): State<Memberships>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let room_id = request.room_id.clone();
    blocking::run(move || memberships.join(&requester.user_id, &request.room_id, request.reason.as_deref()))
        .await?;
    Ok(RumaResponse(Response::new(room_id)))
}
