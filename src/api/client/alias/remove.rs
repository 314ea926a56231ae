//! `DELETE /directory/room/{roomAlias}`: takes an alias from a room.

use axum::extract::State;
use ruma::api::client::alias::delete_alias::v3::{Request, Response};

use crate::{
    api::{ApiResult, Ruma, RumaResponse, authentication::Requester, blocking},
    rooms::{Aliases, Viewer},
};

/// The handler.
pub async fn remove(
    State(aliases): State<Aliases>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let remover = Viewer::from(requester);
    blocking::run(move || aliases.remove(&remover, &request.room_alias)).await?;
    Ok(RumaResponse(Response::new()))
}
