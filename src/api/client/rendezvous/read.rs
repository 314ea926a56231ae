//! `GET` of a rendezvous session: its text.

use axum::{
    extract::{Path, State},
    response::Response,
};
use http::{
    HeaderMap, StatusCode,
    header::{CONTENT_TYPE, IF_NONE_MATCH},
};

use super::session;
use crate::{api::ApiError, users::Rendezvous};

/// Answers the text, or 304 if the client has it.
pub async fn read(
    State(rendezvous): State<Rendezvous>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let state = rendezvous.get(&id).ok_or_else(session::unknown)?;
    if headers.get(IF_NONE_MATCH).is_some_and(|seen| seen.as_bytes() == state.etag.as_bytes()) {
        return Ok(session::answer(StatusCode::NOT_MODIFIED, &state, ()));
    }
    let body = ([(CONTENT_TYPE, "text/plain")], state.text.clone());
    Ok(session::answer(StatusCode::OK, &state, body))
}
