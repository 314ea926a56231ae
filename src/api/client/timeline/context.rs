//! `GET /rooms/{roomId}/context/{eventId}`: an event and those around it. Where what this server
//! has ends close before the event, other servers in the room are asked for more.

use axum::extract::State;
use ruma::api::client::context::get_context::v3::{Request, Response};

use crate::{
    api::{ApiResult, Ruma, RumaResponse, authentication::Requester, blocking},
    federation::IncomingPdus,
    rooms::{ClientEvents, EventFilter, EventForm, ReadError, ReceivedEvents, Timelines, Viewer, Visibility},
};

/// The handler.
pub async fn context(
    State(visibility): State<Visibility>,
    State(timelines): State<Timelines>,
    State(client_events): State<ClientEvents>,
    State(received): State<ReceivedEvents>,
    State(incoming_pdus): State<IncomingPdus>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let viewer = Viewer::from(requester);
    let room_id = request.room_id.clone();
    let read = move || {
        let view = visibility.reader(&viewer, &request.room_id)?;
        let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
        let filter = EventFilter::from(request.filter.clone());
        let limit = if filter.allows_room(&request.room_id) { limit } else { 0 };
        let context = timelines.context(&view, &request.event_id, limit, &filter)?;
        let ends_early = context.ends_early && !received.missing_history(&request.room_id, 1)?.is_empty();
        let mut response = Response::new();
        response.start = Some(context.start.to_string());
        response.end = Some(context.end.to_string());
        response.event = Some(client_events.write(&view, &context.event, EventForm::TIMELINE)?);
        response.events_before = client_events.write_all(&view, &context.before, EventForm::TIMELINE)?;
        response.events_after = client_events.write_all(&view, &context.after, EventForm::TIMELINE)?;
        response.state = client_events.write_all(&view, &context.state, EventForm::STATE)?;
        Ok::<_, ReadError>((response, ends_early))
    };
    let (response, ends_early) = blocking::run(read.clone()).await?;
    if ends_early && incoming_pdus.fetch_history(&room_id).await {
        return blocking::run(read).await.map(|(response, _)| RumaResponse(response));
    }
    Ok(RumaResponse(response))
}
