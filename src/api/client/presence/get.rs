//! `GET /presence/{userId}/status`: what is shown of a user.

use std::time::Duration;

use axum::extract::State;
use ruma::{
    api::client::presence::get_presence::v3::{Request, Response},
    presence::PresenceState,
};

use crate::{
    api::{ApiError, ApiResult, Requester, Ruma, RumaResponse, blocking},
    storage::{Read, Storage},
    sync::DeviceLists,
    users::Presence,
};

/// Only who shares a room with the user is told.
pub async fn get(
    State(storage): State<Storage>,
    State(shared): State<DeviceLists>,
    State(presence): State<Presence>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let work = move || {
        let refused = || ApiError::forbidden("You share no room with this user");
        let user = storage.short_user_id(&request.user_id)?.ok_or_else(refused)?;
        if !shared.share_a_room(requester.user, user)? {
            return Err(refused());
        }
        let shown = presence.of(user);
        Ok::<_, ApiError>(shown.map(|shown| (presence.last_active_ago_ms(&shown), shown)))
    };
    let Some((last_active_ago, shown)) = blocking::run(work).await? else {
        return Ok(RumaResponse(Response::new(PresenceState::Offline)));
    };
    let mut response = Response::new(shown.state.clone());
    response.currently_active = Some(shown.is_currently_active);
    response.last_active_ago = last_active_ago.map(Duration::from_millis);
    response.status_msg = shown.status_msg;
    Ok(RumaResponse(response))
}
