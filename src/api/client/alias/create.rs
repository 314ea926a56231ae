//! `PUT /directory/room/{roomAlias}`: gives a room an alias.

use axum::extract::State;
use ruma::api::client::alias::create_alias::v3::{Request, Response};

use crate::{
    api::{ApiResult, Ruma, RumaResponse, authentication::Requester, blocking},
    rooms::{Aliases, Viewer},
};

/// The handler.
pub async fn create(
    State(aliases): State<Aliases>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let maker = Viewer::from(requester);
    blocking::run(move || aliases.create(&maker, &request.room_alias, &request.room_id)).await?;
    Ok(RumaResponse(Response::new()))
}
