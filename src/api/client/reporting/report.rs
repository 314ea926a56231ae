//! `POST /rooms/{roomId}/report/{eventId}`, `POST /rooms/{roomId}/report`, `POST /users/{userId}/report`.

use axum::extract::State;
use ruma::api::client::{
    reporting::report_user::v3 as user_v3,
    room::{report_content::v3 as event_v3, report_room::v3 as room_v3},
};

use crate::{
    api::{ApiResult, Requester, Ruma, RumaResponse, blocking},
    rooms::{Reports, Viewer},
};

/// Reports an event.
pub async fn event(
    State(reports): State<Reports>,
    requester: Requester,
    Ruma(request): Ruma<event_v3::Request>,
) -> ApiResult<event_v3::Response> {
    let reporter = Viewer::from(requester);
    blocking::run(move || reports.event(&reporter, &request.room_id, &request.event_id, request.reason))
        .await?;
    Ok(RumaResponse(event_v3::Response::default()))
}

/// Reports a room.
pub async fn room(
    State(reports): State<Reports>,
    requester: Requester,
    Ruma(request): Ruma<room_v3::Request>,
) -> ApiResult<room_v3::Response> {
    let reporter = Viewer::from(requester);
    blocking::run(move || reports.room(&reporter, &request.room_id, Some(request.reason))).await?;
    Ok(RumaResponse(room_v3::Response::default()))
}

/// Reports a user.
pub async fn user(
    State(reports): State<Reports>,
    requester: Requester,
    Ruma(request): Ruma<user_v3::Request>,
) -> ApiResult<user_v3::Response> {
    let reporter = Viewer::from(requester);
    blocking::run(move || reports.user(&reporter, &request.user_id, Some(request.reason))).await?;
    Ok(RumaResponse(user_v3::Response::default()))
}
