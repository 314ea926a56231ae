//! `POST /publicRooms`: the published rooms that pass a filter.

use axum::extract::State;
use ruma::api::federation::directory::get_public_rooms_filtered::v1::Request;

use crate::{
    api::{
        ApiError,
        directory_pages::{DirectoryAnswer, DirectoryQuery, own_page},
        federation::Signed,
    },
    rooms::RoomDirectory,
};

/// The handler.
pub async fn search(
    State(directory): State<RoomDirectory>,
    Signed { request, .. }: Signed<Request>,
) -> Result<DirectoryAnswer, ApiError> {
    let Request { since, limit, filter, room_network: network, .. } = request;
    own_page(directory, DirectoryQuery { since, limit, filter, network }).await.map(Into::into)
}
