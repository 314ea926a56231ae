//! `GET /joined_rooms`: the rooms that the user is joined to.

use axum::extract::State;
use ruma::api::client::membership::joined_rooms::v3::{Request, Response};

use crate::{
    api::{ApiResult, Ruma, RumaResponse, authentication::Requester, blocking},
    rooms::Members,
};

/// The handler.
pub async fn joined_rooms(
    State(members): State<Members>,
    requester: Requester,
    Ruma(_): Ruma<Request>,
) -> ApiResult<Response> {
    let rooms = blocking::run(move || members.joined_rooms(requester.user)).await?;
    Ok(RumaResponse(Response::new(rooms)))
}
