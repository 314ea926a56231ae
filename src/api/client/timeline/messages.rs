//! `GET /rooms/{roomId}/messages`: a page of a room's history.

use std::collections::HashMap;

use axum::extract::{Path, State, rejection::PathRejection};
use ruma::{
    OwnedRoomId,
    api::client::message::get_message_events::v3::{Request, Response},
};

use crate::{
    api::{ApiError, ApiResult, Ruma, RumaResponse, authentication::Requester, blocking},
    rooms::{
        ClientEvents, EventFilter, EventForm, Page, PageRequest, ReadError, Timelines, Viewer, Visibility,
    },
};

/// The handler.
pub async fn messages(
    State(visibility): State<Visibility>,
    State(timelines): State<Timelines>,
    State(client_events): State<ClientEvents>,
    requester: Requester,
    path: Result<Path<HashMap<String, String>>, PathRejection>,
    request: Result<Ruma<Request>, ApiError>,
) -> ApiResult<Response> {
    let viewer = Viewer::from(requester);
    let request = match request {
        Ok(Ruma(request)) => request,
        // Who may not read the room is told so first, whatever else is wrong with the request.
        Err(refused) => return Err(refusal(visibility, viewer, path, refused).await),
    };
    let work = move || {
        let view = visibility.reader(&viewer, &request.room_id)?;
        let page = page(&timelines, &view, &request)?;
        let mut response = Response::new();
        response.start = page.start.to_string();
        response.end = page.end.map(|end| end.to_string());
        if EventFilter::from(request.filter).lazy_loads_members() {
            let members = timelines.senders(&view, &page.events)?;
            response.state = client_events.write_all(&view, &members, EventForm::STATE)?;
        }
        response.chunk = client_events.write_all(&view, &page.events, EventForm::TIMELINE)?;
        Ok::<_, ReadError>(response)
    };
    blocking::run(work).await.map(RumaResponse)
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
) -> Result<Page, ReadError> {
    let token = |text: &Option<String>| text.as_deref().map(str::parse).transpose();
    let filter = EventFilter::from(request.filter.clone());
    let from = token(&request.from)?;
    if !filter.allows_room(&request.room_id) {
        let start = from.unwrap_or(crate::rooms::PaginationToken::Before(view.timeline_end()?));
        return Ok(Page { start, end: None, events: Vec::new() });
    }
    let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
    let request = PageRequest { from, to: token(&request.to)?, order: request.dir, limit, filter };
    Ok(timelines.page(view, &request)?)
}
