//! `POST /rendezvous`: a new session with its first text.

use axum::{body::Bytes, extract::State, response::Response};
use http::{HeaderMap, StatusCode, header::HOST};
use serde::Serialize;

use super::{SESSIONS, session};
use crate::{
    api::{ApiError, client::discovery::Advertised, json::JsonResponse},
    users::Rendezvous,
};

/// The answer.
#[derive(Debug, Serialize)]
struct Created {
    url: String,
}

/// Answers the session's address.
pub async fn create(
    State(rendezvous): State<Rendezvous>,
    State(advertised): State<Advertised>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let text = session::text(&headers, &body)?;
    let base_url = match advertised.client_base_url {
        Some(url) => url,
        // Where the operator tells clients no address, it is the one that this client has come by.
        None => format!("https://{}", session::required(&headers, &HOST)?),
    };
    let (id, state) = rendezvous.create(text)?;
    let url = format!("{}{SESSIONS}/{id}", base_url.trim_end_matches('/'));
    Ok(session::answer(StatusCode::CREATED, &state, JsonResponse(Created { url })))
}
