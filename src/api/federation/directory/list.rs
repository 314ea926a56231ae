//! `GET /publicRooms`: the published rooms.

use axum::extract::State;
use ruma::api::federation::directory::get_public_rooms::v1::{Request, Response};

use crate::{
    api::{
        ApiResult, RumaResponse,
        directory_pages::{DirectoryQuery, own_page},
        federation::Signed,
    },
    rooms::RoomDirectory,
};

/// The handler.
pub async fn list(
    State(directory): State<RoomDirectory>,
    Signed { request, .. }: Signed<Request>,
) -> ApiResult<Response> {
    let Request { since, limit, room_network: network, .. } = request;
    let page =
        own_page(directory, DirectoryQuery { since, limit, network, ..DirectoryQuery::default() }).await?;
    let mut response = Response::new();
    response.chunk = page.chunk;
    response.next_batch = page.next_batch;
    response.prev_batch = page.prev_batch;
    response.total_room_count_estimate = page.total_room_count_estimate;
    Ok(RumaResponse(response))
}
