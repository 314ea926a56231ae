//! `GET /rooms/{roomId}/context/{eventId}`: an event and those around it.

use axum::extract::State;
use ruma::api::client::context::get_context::v3::{Request, Response};

use crate::{
    api::{ApiResult, Ruma, RumaResponse, authentication::Requester, blocking},
    rooms::{ClientEvents, EventFilter, EventForm, ReadError, Timelines, Viewer, Visibility},
};

/// The handler.
pub async fn context(
    State(visibility): State<Visibility>,
    State(timelines): State<Timelines>,
    State(client_events): State<ClientEvents>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let viewer = Viewer::from(requester);
    let work = move || {
        let view = visibility.reader(&viewer, &request.room_id)?;
        let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
        let filter = EventFilter::from(request.filter);
        let limit = if filter.allows_room(&request.room_id) { limit } else { 0 };
        let context = timelines.context(&view, &request.event_id, limit, &filter)?;
        let mut response = Response::new();
        response.start = Some(context.start.to_string());
        response.end = Some(context.end.to_string());
        response.event = Some(client_events.write(&view, &context.event, EventForm::TIMELINE)?);
        response.events_before = client_events.write_all(&view, &context.before, EventForm::TIMELINE)?;
        response.events_after = client_events.write_all(&view, &context.after, EventForm::TIMELINE)?;
        response.state = client_events.write_all(&view, &context.state, EventForm::STATE)?;
        Ok::<_, ReadError>(response)
    };
    blocking::run(work).await.map(RumaResponse)
}
