//! `PUT /directory/room/{roomAlias}`: gives a room an alias.

use axum::extract::State;
use http::StatusCode;
use ruma::{
    RoomAliasId,
    api::{
        client::alias::create_alias::v3::{Request, Response},
        error::ErrorKind,
    },
};

use crate::{
    api::{ApiError, ApiResult, Ruma, RumaResponse, authentication::Requester, blocking},
    rooms::{Aliases, Viewer},
    users::Sessions,
};

/// Refuses with `M_EXCLUSIVE` an alias that an application service has for itself, and to an application
/// service one that it has not (application service API, "Server admin style permissions").
pub(in crate::api::client) fn check_reserved(
    sessions: &Sessions,
    requester: &Requester,
    alias: &RoomAliasId,
) -> Result<(), ApiError> {
    if sessions.appservices().current().may_have_alias(alias, requester.appservice.as_deref()) {
        return Ok(());
    }
    let message =
        format!("The alias {alias} is reserved for an application service, or outside of its names");
    Err(ApiError::new(StatusCode::BAD_REQUEST, ErrorKind::Exclusive, message))
}

/// The handler.
pub async fn create(
    State(aliases): State<Aliases>,
    State(sessions): State<Sessions>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    check_reserved(&sessions, &requester, &request.room_alias)?;
    let maker = Viewer::from(requester);
    blocking::run(move || aliases.create(&maker, &request.room_alias, &request.room_id)).await?;
    Ok(RumaResponse(Response::new()))
}
