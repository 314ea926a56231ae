//! `POST /publicRooms`: the published rooms that pass a filter.

use axum::extract::State;
use ruma::{
    OwnedServerName, UInt,
    api::client::directory::get_public_rooms_filtered::v3::{Request, Response},
    directory::{Filter, RoomNetwork},
};

use crate::{
    api::{ApiError, ApiResult, Ruma, RumaResponse, authentication::Requester, blocking},
    rooms::{DirectoryPage, ReadError, RoomDirectory},
};

/// The handler.
pub async fn search(
    State(directory): State<RoomDirectory>,
    _requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let mut response = Response::new();
    // No bridge lists rooms of its own yet, so another network's list is empty.
    if matches!(request.room_network, RoomNetwork::ThirdParty(_)) {
        return Ok(RumaResponse(response));
    }
    let page = page(directory, request.server, request.since, request.limit, request.filter).await?;
    response.chunk = page.rooms;
    response.next_batch = page.next.map(|token| token.to_string());
    response.prev_batch = page.previous.map(|token| token.to_string());
    response.total_room_count_estimate = UInt::try_from(page.total).ok();
    Ok(RumaResponse(response))
}

/// A page of this server's directory; another server's can't be asked for.
pub(super) async fn page(
    directory: RoomDirectory,
    server: Option<OwnedServerName>,
    since: Option<String>,
    limit: Option<UInt>,
    filter: Filter,
) -> Result<DirectoryPage, ApiError> {
    if let Some(server) = server.filter(|server| !directory.is_of(server)) {
        return Err(ApiError::not_found(format!("The directory of {server} can't be read from here")));
    }
    let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let work = move || {
        let since = since.as_deref().filter(|token| !token.is_empty()).map(str::parse).transpose()?;
        Ok::<_, ReadError>(directory.page(since, limit, &filter)?)
    };
    blocking::run(work).await
}
