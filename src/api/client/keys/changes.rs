//! `GET /keys/changes`: whose devices changed between two tokens.

use axum::extract::State;
use ruma::api::client::keys::get_key_changes::v3::{Request, Response};

use crate::{
    api::{ApiError, ApiResult, Requester, Ruma, RumaResponse, blocking},
    rooms::SyncToken,
    sync::DeviceLists,
};

/// Answers them as a sync would have told them.
pub async fn changes(
    State(lists): State<DeviceLists>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let parse = |token: &str| {
        token
            .parse::<SyncToken>()
            .map_err(|_| ApiError::invalid_param(format!("`{token}` is not a token of this server")))
    };
    let (from, to) = (parse(&request.from)?, parse(&request.to)?);
    let found = blocking::run(move || lists.changes(requester.user, from.position, to.position)).await?;
    let lists = (found.changed.into_iter().collect(), found.left.into_iter().collect());
    Ok(RumaResponse(Response::new(lists.0, lists.1)))
}
