//! `GET /rooms/{roomId}/messages`: a page of a room's history. Where what this server has comes to an end before
//! the page is full, other servers in the room are asked for more.

use std::collections::HashMap;

use axum::extract::{FromRef, Path, RawQuery, State, rejection::PathRejection};
use ruma::{
    OwnedRoomId,
    api::{
        Direction,
        client::message::get_message_events::v3::{Request, Response},
    },
    exports::serde_html_form,
};
use serde::Deserialize;

use crate::{
    api::{ApiError, ApiResult, ApiState, Ruma, RumaResponse, authentication::Requester, blocking},
    federation::IncomingPdus,
    rooms::{
        ClientEvents, EventFilter, EventForm, Page, PageRequest, ReadError, ReceivedEvents, RelationFilter,
        Timelines, Viewer, Visibility,
    },
};

/// Reads a page, as often as there is more to read.
#[derive(Clone)]
pub struct Reading {
    pub(in crate::api) visibility: Visibility,
    pub(in crate::api) timelines: Timelines,
    pub(in crate::api) client_events: ClientEvents,
    pub(in crate::api) received: ReceivedEvents,
}

impl FromRef<ApiState> for Reading {
    fn from_ref(state: &ApiState) -> Self {
        Self {
            visibility: state.rooms.visibility.clone(),
            timelines: state.rooms.timelines.clone(),
            client_events: state.rooms.client_events.clone(),
            received: state.rooms.received_events.clone(),
        }
    }
}

/// The filter as it was sent, for what ruma's type does not know of it.
#[derive(Debug, Default, Deserialize)]
struct FilterText {
    filter: Option<String>,
}

/// What the filter of a query says of relations; one that is none is refused with the rest of the request.
fn relations_in(query: Option<&str>) -> RelationFilter {
    let query: FilterText = serde_html_form::from_str(query.unwrap_or_default()).unwrap_or_default();
    query.filter.and_then(|filter| serde_json::from_str(&filter).ok()).unwrap_or_default()
}

/// The handler.
pub async fn messages(
    State(reading): State<Reading>,
    State(incoming_pdus): State<IncomingPdus>,
    requester: Requester,
    path: Result<Path<HashMap<String, String>>, PathRejection>,
    RawQuery(query): RawQuery,
    request: Result<Ruma<Request>, ApiError>,
) -> ApiResult<Response> {
    let viewer = Viewer::from(requester);
    let request = match request {
        Ok(Ruma(request)) => request,
        // Who may not read the room is told so first, whatever else is wrong with the request.
        Err(refused) => return Err(refusal(reading.visibility, viewer, path, refused).await),
    };
    let room_id = request.room_id.clone();
    let relations = relations_in(query.as_deref());
    let read = move || reading.read(&viewer, &request, &relations);
    let (response, ends_early) = blocking::run(read.clone()).await?;
    if ends_early && incoming_pdus.fetch_history(&room_id).await {
        return blocking::run(read).await.map(|(response, _)| RumaResponse(response));
    }
    Ok(RumaResponse(response))
}

impl Reading {
    /// The page, and whether there is more of the room's history elsewhere that would belong to it.
    fn read(
        &self,
        viewer: &Viewer,
        request: &Request,
        relations: &RelationFilter,
    ) -> Result<(Response, bool), ReadError> {
        let view = self.visibility.reader(viewer, &request.room_id)?;
        let filter = EventFilter::from(request.filter.clone()).with_relations(relations.clone());
        let page = page(&self.timelines, &view, request, filter.clone())?;
        let is_at_start = request.dir == Direction::Backward && request.to.is_none() && page.end.is_none();
        let is_more = is_at_start && !self.received.missing_history(&request.room_id, 1)?.is_empty();
        // The next page may bring it; an empty one that comes after an attempt ends the search.
        let end = page.end.or((is_more && !page.events.is_empty()).then_some(page.reached));
        let mut response = Response::new();
        response.start = page.start.to_string();
        response.end = end.map(|end| end.to_string());
        if filter.lazy_loads_members() {
            let members = self.timelines.senders(&view, &page.events)?;
            response.state = self.client_events.write_all(&view, &members, EventForm::STATE)?;
        }
        response.chunk = self.client_events.write_all(&view, &page.events, EventForm::TIMELINE)?;
        let is_full = usize::try_from(request.limit).is_ok_and(|limit| page.events.len() >= limit);
        Ok((response, is_more && !is_full && filter.allows_room(&request.room_id)))
    }
}

async fn refusal(
    visibility: Visibility,
    viewer: Viewer,
    path: Result<Path<HashMap<String, String>>, PathRejection>,
    refused: ApiError,
) -> ApiError {
    let room_id = path.ok().and_then(|Path(mut path)| path.remove("room_id"));
    let Some(Ok(room_id)) = room_id.map(OwnedRoomId::try_from) else {
        return refused;
    };
    let readable = blocking::run(move || visibility.reader(&viewer, &room_id).map(|_| ())).await;
    readable.err().unwrap_or(refused)
}

fn page(
    timelines: &Timelines,
    view: &crate::rooms::RoomView<'_>,
    request: &Request,
    filter: EventFilter,
) -> Result<Page, ReadError> {
    let token = |text: &Option<String>| text.as_deref().map(str::parse).transpose();
    let from = token(&request.from)?;
    if !filter.allows_room(&request.room_id) {
        let start = from.unwrap_or(crate::rooms::PaginationToken::Before(view.timeline_end()?));
        return Ok(Page { start, end: None, reached: start, events: Vec::new() });
    }
    let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
    let request = PageRequest { from, to: token(&request.to)?, order: request.dir, limit, filter };
    Ok(timelines.page(view, &request)?)
}
