//! `GET /publicRooms`: this server's published rooms, for anybody; another server's for users of this one.

use axum::extract::State;
use http::StatusCode;
use ruma::api::{client::directory::get_public_rooms::v3::Request, error::ErrorKind};

use crate::{
    api::{
        ApiError, MaybeRequester, Ruma,
        directory_pages::{DirectoryAnswer, DirectoryQuery, foreign_page, own_page},
    },
    federation::FederationClient,
    rooms::RoomDirectory,
};

/// The handler.
pub async fn list(
    State(directory): State<RoomDirectory>,
    State(client): State<FederationClient>,
    MaybeRequester(requester): MaybeRequester,
    Ruma(request): Ruma<Request>,
) -> Result<DirectoryAnswer, ApiError> {
    let query = DirectoryQuery { since: request.since, limit: request.limit, ..DirectoryQuery::default() };
    let page = match request.server.filter(|server| !directory.is_of(server)) {
        // Strangers don't let this server ask others.
        Some(_) if requester.is_none() => {
            let message = "Another server's directory is read by users only";
            return Err(ApiError::new(StatusCode::UNAUTHORIZED, ErrorKind::MissingToken, message));
        }
        Some(server) => foreign_page(&client, &server, query).await?,
        None => own_page(directory, query).await?,
    };
    Ok(page.into())
}
