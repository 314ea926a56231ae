//! `GET /rooms/{roomId}/relations/{eventId}[/{relType}[/{eventType}]]`: the events that relate to one.

use axum::extract::State;
use ruma::{
    OwnedEventId, OwnedRoomId, UInt,
    api::client::relations::{
        get_relating_events::v1::{Request, Response},
        get_relating_events_with_rel_type::v1::Request as OfRelType,
        get_relating_events_with_rel_type_and_event_type::v1::Request as OfEventType,
    },
};

use crate::{
    api::{ApiError, ApiResult, Requester, Ruma, RumaResponse, blocking},
    rooms::{
        ClientEvents, EventForm, PaginationToken, ReadError, Relations, RelationsRequest, Viewer, Visibility,
        limits,
    },
};

/// The services that all three forms use.
pub type Services = (State<Visibility>, State<Relations>, State<ClientEvents>);

/// The parts that all three forms of the request have.
macro_rules! wanted {
    ($request:ident) => {
        RelationsRequest {
            from: token($request.from.as_deref())?,
            to: token($request.to.as_deref())?,
            order: $request.dir,
            limit: $request.limit.map_or(limits::RELATIONS_PAGE_DEFAULT, limit),
            recurse: $request.recurse,
            rel_type: None,
            event_type: None,
        }
    };
}

/// All relations.
pub async fn all(
    services: Services,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let wanted = wanted!(request);
    answer(services, requester, (request.room_id, request.event_id), wanted, request.from).await
}

/// Those of one kind.
pub async fn of_rel_type(
    services: Services,
    requester: Requester,
    Ruma(request): Ruma<OfRelType>,
) -> ApiResult<Response> {
    let wanted = RelationsRequest { rel_type: Some(request.rel_type.to_string()), ..wanted!(request) };
    answer(services, requester, (request.room_id, request.event_id), wanted, request.from).await
}

/// Those of one kind by events of one type.
pub async fn of_event_type(
    services: Services,
    requester: Requester,
    Ruma(request): Ruma<OfEventType>,
) -> ApiResult<Response> {
    let wanted = RelationsRequest {
        rel_type: Some(request.rel_type.to_string()),
        event_type: Some(request.event_type.to_string()),
        ..wanted!(request)
    };
    answer(services, requester, (request.room_id, request.event_id), wanted, request.from).await
}

fn token(text: Option<&str>) -> Result<Option<PaginationToken>, ApiError> {
    Ok(text.map(str::parse).transpose()?)
}

fn limit(limit: UInt) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

async fn answer(
    (State(visibility), State(relations), State(client_events)): Services,
    requester: Requester,
    (room_id, event_id): (OwnedRoomId, OwnedEventId),
    wanted: RelationsRequest,
    from: Option<String>,
) -> ApiResult<Response> {
    let viewer = Viewer::from(requester);
    let work = move || {
        let view = visibility.reader(&viewer, &room_id)?;
        let page = relations.page(&view, &event_id, &wanted)?;
        let mut response =
            Response::new(client_events.write_all(&view, &page.events, EventForm::TIMELINE)?);
        response.next_batch = page.next.map(|next| next.to_string());
        response.prev_batch = from;
        response.recursion_depth = wanted.recurse.then(|| limits::RELATION_DEPTH_MAX.into());
        Ok::<_, ReadError>(response)
    };
    blocking::run(work).await.map(RumaResponse)
}
