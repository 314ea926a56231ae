//! `POST /rooms/{roomId}/invite`: invites a user.

use axum::extract::State;
use ruma::api::client::membership::invite_user::v3::{InvitationRecipient, Request, Response};

use crate::{
    api::{ApiResult, Requester, Ruma, RumaResponse, blocking},
    rooms::{Memberships, RoomError, memberships::Moderation},
};

/// The handler.
pub async fn invite(
    State(memberships): State<Memberships>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let InvitationRecipient::UserId(invited) = request.recipient else {
        return Err(RoomError::NoIdentityServer.into());
    };
    blocking::run(move || {
        memberships.invite(Moderation {
            room_id: &request.room_id,
            sender: &requester.user_id,
            target: &invited.user_id,
            reason: invited.reason.as_deref(),
        })
    })
    .await?;
    Ok(RumaResponse(Response::new()))
}
