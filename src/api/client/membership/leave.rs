//! `POST /rooms/{roomId}/leave`: leaves a room, or turns an invite down.

use axum::extract::State;
use ruma::api::client::membership::leave_room::v3::{Request, Response};

use crate::{
    api::{ApiResult, Requester, Ruma, RumaResponse, blocking},
    rooms::Memberships,
};

/// The handler.
pub async fn leave(
    State(memberships): State<Memberships>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    blocking::run(move || memberships.leave(&requester.user_id, &request.room_id, request.reason.as_deref()))
        .await?;
    Ok(RumaResponse(Response::new()))
}
