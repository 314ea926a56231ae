//! `GET /rooms/{roomId}/aliases`: this server's aliases of a room.

use axum::extract::State;
use ruma::api::client::room::aliases::v3::{Request, Response};

use crate::{
    api::{ApiResult, Ruma, RumaResponse, authentication::Requester, blocking},
    rooms::{Aliases, Viewer},
};

/// The handler. Administrators see those of every room, as Synapse has it and its tools rely on.
pub async fn of_room(
    State(aliases): State<Aliases>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let is_admin = requester.is_admin;
    let viewer = Viewer::from(requester);
    let aliases = blocking::run(move || match is_admin {
        true => aliases.all_of_room(&request.room_id),
        false => aliases.of_room(&viewer, &request.room_id),
    })
    .await?;
    Ok(RumaResponse(Response::new(aliases)))
}
