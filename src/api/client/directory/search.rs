//! `POST /publicRooms`: the published rooms that pass a filter, of this server or another.

use axum::extract::State;
use ruma::api::client::directory::get_public_rooms_filtered::v3::Request;

use crate::{
    api::{
        ApiError, Ruma,
        authentication::Requester,
        directory_pages::{DirectoryAnswer, DirectoryQuery, foreign_page, own_page},
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
) -> Result<DirectoryAnswer, ApiError> {
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
    Ok(page.into())
}
