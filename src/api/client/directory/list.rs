//! `GET /publicRooms`: the published rooms, for anybody.

use axum::extract::State;
use ruma::{
    UInt,
    api::client::directory::get_public_rooms::v3::{Request, Response},
    directory::Filter,
};

use super::search::page;
use crate::{
    api::{ApiResult, Ruma, RumaResponse},
    rooms::RoomDirectory,
};

/// The handler.
pub async fn list(
    State(directory): State<RoomDirectory>,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let page = page(directory, request.server, request.since, request.limit, Filter::new()).await?;
    let mut response = Response::new(page.rooms);
    response.next_batch = page.next.map(|token| token.to_string());
    response.prev_batch = page.previous.map(|token| token.to_string());
    response.total_room_count_estimate = UInt::try_from(page.total).ok();
    Ok(RumaResponse(response))
}
