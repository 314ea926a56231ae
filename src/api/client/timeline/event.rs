//! `GET /rooms/{roomId}/event/{eventId}`: one event. Whatever the reader may not see is not found.

use axum::extract::State;
use ruma::api::client::room::get_room_event::v3::{Request, Response};

use crate::{
    api::{ApiResult, Ruma, RumaResponse, authentication::Requester, blocking},
    rooms::{ClientEvents, EventForm, ReadError, Timelines, Viewer, Visibility},
};

/// The handler.
pub async fn event(
    State(visibility): State<Visibility>,
    State(timelines): State<Timelines>,
    State(client_events): State<ClientEvents>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let viewer = Viewer::from(requester);
    let work = move || {
        let view = visibility.reader(&viewer, &request.room_id).map_err(|error| match error {
            ReadError::NotInRoom => ReadError::NotFound("Event"),
            other => other,
        })?;
        let event = timelines.event(&view, &request.event_id)?;
        Ok::<_, ReadError>(Response::new(client_events.write(&view, &event, EventForm::TIMELINE)?))
    };
    blocking::run(work).await.map(RumaResponse)
}
