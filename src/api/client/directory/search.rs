//! `POST /publicRooms`: the published rooms that pass a filter, of this server or another.

use axum::extract::State;
use ruma::api::client::directory::get_public_rooms_filtered::v3::{Request, Response};

use crate::{
    api::{
        ApiResult, Ruma, RumaResponse,
        authentication::Requester,
        directory_pages::{DirectoryQuery, foreign_page, own_page},
    },
    federation::FederationClient,
    rooms::RoomDirectory,
};

/// The handler.
pub async fn search(
    State(directory): State<RoomDirectory>,
    State(client): State<FederationClient>,
    _requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let query = DirectoryQuery {
        since: request.since,
        limit: request.limit,
        filter: request.filter,
        network: request.room_network,
    };
    let page = match request.server.filter(|server| !directory.is_of(server)) {
        Some(server) => foreign_page(&client, &server, query).await?,
        None => own_page(directory, query).await?,
    };
    let mut response = Response::new();
    response.chunk = page.chunk;
    response.next_batch = page.next_batch;
    response.prev_batch = page.prev_batch;
    response.total_room_count_estimate = page.total_room_count_estimate;
    Ok(RumaResponse(response))
}
