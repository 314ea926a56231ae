//! `GET /directory/room/{roomAlias}`: the room behind an alias, for anybody.

use axum::extract::State;
use ruma::api::client::alias::get_alias::v3::{Request, Response};

use crate::{
    api::{ApiResult, Ruma, RumaResponse, blocking},
    rooms::Aliases,
};

/// The handler.
pub async fn resolve(State(aliases): State<Aliases>, Ruma(request): Ruma<Request>) -> ApiResult<Response> {
    let (room_id, servers) = blocking::run(move || aliases.resolve(&request.room_alias)).await?;
    Ok(RumaResponse(Response::new(room_id, servers)))
}
