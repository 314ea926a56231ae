//! `PUT /presence/{userId}/status`: says what is to be shown of oneself.

use axum::extract::State;
use ruma::{
    api::client::presence::set_presence::v3::{Request, Response},
    presence::PresenceState,
};

use crate::{
    api::{ApiError, ApiResult, Requester, Ruma, RumaResponse},
    users::{Presence, limits, presence::Asker},
};

/// The handler.
pub async fn set(
    State(presence): State<Presence>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    requester.must_be(&request.user_id)?;
    let known = [PresenceState::Online, PresenceState::Unavailable, PresenceState::Offline];
    if !known.contains(&request.presence) {
        return Err(ApiError::invalid_param("presence is online, unavailable or offline"));
    }
    let message = request.status_msg.filter(|message| !message.is_empty());
    if message.as_ref().is_some_and(|message| message.len() > limits::STATUS_MESSAGE_BYTES_MAX) {
        return Err(ApiError::invalid_param("status_msg is too long"));
    }
    let asker = Asker { user: requester.user, user_id: &request.user_id, device: &requester.device_id };
    presence.set(&asker, request.presence, message);
    Ok(RumaResponse(Response::new()))
}
