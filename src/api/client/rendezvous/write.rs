//! `PUT` of a rendezvous session: another text in place of the one that the client has seen.

use axum::{
    body::Bytes,
    extract::{Path, State},
    response::Response,
};
use http::{HeaderMap, StatusCode, header::IF_MATCH};
use serde_json::json;

use super::session;
use crate::{
    api::{ApiError, json::JsonResponse},
    users::{Rendezvous, rendezvous::RendezvousRefusal},
};

/// Answers the new text's tag, or 412 and the tag of the text that is there.
pub async fn write(
    State(rendezvous): State<Rendezvous>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let text = session::text(&headers, &body)?;
    let etag = session::required(&headers, &IF_MATCH)?;
    if !session::is_strong_tag(etag) {
        return Err(ApiError::invalid_param("If-Match must be one strong ETag"));
    }
    match rendezvous.replace(&id, etag, text)? {
        Ok(state) => Ok(session::answer(StatusCode::ACCEPTED, &state, ())),
        Err(RendezvousRefusal::Unknown) => Err(session::unknown()),
        Err(RendezvousRefusal::TooLarge) => Err(ApiError::too_large("The text is too large")),
        Err(RendezvousRefusal::Replaced(state)) => {
            let error = json!({
                "errcode": "M_UNKNOWN",
                "org.matrix.msc4108.errcode": "M_CONCURRENT_WRITE",
                "error": "The text has been replaced meanwhile",
            });
            Ok(session::answer(StatusCode::PRECONDITION_FAILED, &state, JsonResponse(error)))
        }
    }
}
