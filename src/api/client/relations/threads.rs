//! `GET /rooms/{roomId}/threads`: the threads of a room, the one with the newest event first.

use axum::extract::State;
use ruma::api::client::threads::get_threads::v1::{IncludeThreads, Request, Response};

use crate::{
    api::{ApiError, ApiResult, Requester, Ruma, RumaResponse, blocking},
    rooms::{ClientEvents, EventForm, ReadError, Relations, Viewer, Visibility, limits},
};

/// The handler.
pub async fn threads(
    State(visibility): State<Visibility>,
    State(relations): State<Relations>,
    State(client_events): State<ClientEvents>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let participated = match request.include {
        IncludeThreads::All => false,
        IncludeThreads::Participated => true,
        other => return Err(ApiError::invalid_param(format!("`{other}` is no choice of threads"))),
    };
    let viewer = Viewer::from(requester);
    let work = move || {
        let view = visibility.reader(&viewer, &request.room_id)?;
        let from = request.from.as_deref().map(str::parse).transpose()?;
        let limit = request.limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let limit = limit.unwrap_or(limits::RELATIONS_PAGE_DEFAULT);
        let page = relations.threads(&view, from, limit, participated)?;
        let mut response = Response::new(client_events.write_all(&view, &page.roots, EventForm::TIMELINE)?);
        response.next_batch = page.next.map(|next| next.to_string());
        Ok::<_, ReadError>(response)
    };
    blocking::run(work).await.map(RumaResponse)
}
