//! `GET /voip/turnServer`: the TURN servers, with credentials for the user.

use axum::extract::State;
use http::StatusCode;
use ruma::api::{
    client::voip::get_turn_server_info::v3::{Request, Response},
    error::ErrorKind,
};

use crate::{
    api::{ApiError, ApiResult, Requester, Ruma, RumaResponse},
    users::TurnServers,
};

/// The handler; 404 where the operator has set no TURN server.
pub async fn turn_server(
    State(servers): State<Option<TurnServers>>,
    requester: Requester,
    _request: Ruma<Request>,
) -> ApiResult<Response> {
    let Some(servers) = servers else {
        let message = "This server has no TURN servers";
        return Err(ApiError::new(StatusCode::NOT_FOUND, ErrorKind::NotFound, message));
    };
    let credentials = servers.credentials(&requester.user_id);
    let (username, password) = (credentials.username, credentials.password);
    Ok(RumaResponse(Response::new(username, password, credentials.uris, credentials.lifetime)))
}
