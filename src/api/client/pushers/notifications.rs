//! `GET /_matrix/client/v3/notifications`: what the user has been notified of.

use axum::extract::State;
use ruma::{
    MilliSecondsSinceUnixEpoch, UInt,
    api::client::push::get_notifications::v3::{Notification, Request, Response},
};

use crate::{
    api::{ApiError, ApiResult, Requester, Ruma, RumaResponse, blocking},
    push::{Notifications, NotificationsRequest, Notified},
    rooms::{ClientEvents, EventForm, RoomError, Viewer, Visibility},
    storage::StreamPosition,
};

/// Notifications in an answer, when the client does not say how many.
const LIMIT_DEFAULT: usize = 20;

/// The handler. Its tokens are positions in the stream of all changes; they grant nothing.
pub async fn list(
    State(notifications): State<Notifications>,
    State(visibility): State<Visibility>,
    State(client_events): State<ClientEvents>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let viewer = Viewer::from(requester);
    let request = NotificationsRequest {
        before: request.from.as_deref().map(position).transpose()?,
        limit: request.limit.map_or(LIMIT_DEFAULT, |limit| usize::try_from(limit).unwrap_or(usize::MAX)),
        highlights_only: request.only.as_deref() == Some("highlight"),
    };
    let response = blocking::run(move || {
        let page = notifications.page(&viewer, &request)?;
        let shown = page
            .notifications
            .into_iter()
            .map(|notified| show(&client_events, &visibility, &viewer, notified));
        let mut response = Response::new(shown.collect::<Result<_, RoomError>>()?);
        response.next_token = page.next.map(|position| position.0.to_string());
        Ok::<_, RoomError>(response)
    });
    response.await.map(RumaResponse)
}

fn position(token: &str) -> Result<StreamPosition, ApiError> {
    token.parse().map(StreamPosition).map_err(|_| ApiError::invalid_param("`from` is no token of this list"))
}

fn show(
    client_events: &ClientEvents,
    visibility: &Visibility,
    viewer: &Viewer,
    notified: Notified,
) -> Result<Notification, RoomError> {
    let view = visibility.view(viewer, notified.room)?;
    let event = client_events.write(&view, &notified.event, EventForm::SYNC_TIMELINE)?;
    let sent_at = UInt::try_from(notified.event.event().origin_server_ts()).unwrap_or(UInt::MAX);
    let ts = MilliSecondsSinceUnixEpoch(sent_at);
    Ok(Notification::new(notified.actions, event, notified.is_read, notified.room_id, ts))
}
