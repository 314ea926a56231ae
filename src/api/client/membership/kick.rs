//! `POST /rooms/{roomId}/kick`: removes a user from a room.

use axum::extract::State;
use ruma::api::client::membership::kick_user::v3::{Request, Response};

use crate::{
    api::{ApiResult, Requester, Ruma, RumaResponse, blocking},
    rooms::{Memberships, memberships::Moderation},
};

/// The handler.
pub async fn kick(
    State(memberships): State<Memberships>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    blocking::run(move || {
        memberships.kick(Moderation {
            room_id: &request.room_id,
            sender: &requester.user_id,
            target: &request.user_id,
            reason: request.reason.as_deref(),
        })
    })
    .await?;
    Ok(RumaResponse(Response::new()))
}
