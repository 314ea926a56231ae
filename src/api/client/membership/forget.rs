//! `POST /rooms/{roomId}/forget`: gives up the history of a room that was left.

use axum::extract::State;
use ruma::api::client::membership::forget_room::v3::{Request, Response};

use crate::{
    api::{ApiResult, Requester, Ruma, RumaResponse, blocking},
    rooms::Memberships,
};

/// The handler.
pub async fn forget(
    State(memberships): State<Memberships>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    blocking::run(move || memberships.forget(&requester.user_id, &request.room_id)).await?;
    Ok(RumaResponse(Response::new()))
}
