//! `DELETE` of a rendezvous session.

use axum::extract::{Path, State};
use http::StatusCode;

use super::session;
use crate::{api::ApiError, users::Rendezvous};

/// Ends it.
pub async fn end(
    State(rendezvous): State<Rendezvous>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    if rendezvous.end(&id) { Ok(StatusCode::NO_CONTENT) } else { Err(session::unknown()) }
}
