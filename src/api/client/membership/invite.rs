//! `POST /rooms/{roomId}/invite`: invites a user.

use axum::extract::State;
use ruma::{
    CanonicalJsonObject,
    api::client::membership::invite_user::v3::{InvitationRecipient, Request, Response},
};

use crate::{
    api::{ApiResult, Requester, Ruma, RumaResponse},
    federation::{RemoteRooms, joins::Invitation},
    rooms::RoomError,
};

/// The handler.
pub async fn invite(
    State(rooms): State<RemoteRooms>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let InvitationRecipient::UserId(invited) = request.recipient else {
        return Err(RoomError::NoIdentityServer.into());
    };
    let invitation = Invitation {
        room_id: request.room_id,
        sender: requester.user_id,
        target: invited.user_id,
        reason: invited.reason,
        extra: CanonicalJsonObject::new(),
    };
    rooms.invite(invitation).await?;
    Ok(RumaResponse(Response::new()))
}
