//! `GET /publicRooms`: the published rooms.

use axum::extract::State;
use ruma::api::federation::directory::get_public_rooms::v1::Request;

use crate::{
    api::{
        ApiError,
        directory_pages::{DirectoryAnswer, DirectoryQuery, own_page},
        federation::Signed,
    },
    rooms::RoomDirectory,
};

/// The handler.
pub async fn list(
    State(directory): State<RoomDirectory>,
    Signed { request, .. }: Signed<Request>,
) -> Result<DirectoryAnswer, ApiError> {
    let Request { since, limit, room_network: network, .. } = request;
    let page =
        own_page(directory, DirectoryQuery { since, limit, network, ..DirectoryQuery::default() }).await?;
    Ok(page.into())
}
