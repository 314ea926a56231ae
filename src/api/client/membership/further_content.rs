//! Joins with more to say: keys of the body that the specification does not name become part of the member
//! event's content, as clients know it from other servers (room-specific profiles, calls, widgets).

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request},
};
use ruma::{CanonicalJsonObject, api::IncomingRequest};
use serde_json::value::RawValue;

use crate::api::{ApiError, Ruma, client::send::parse_content, request::body_error};

/// A request of type `R`, and what its body says for the member event: all keys but those that ask this
/// server to do something.
#[derive(Debug)]
pub struct WithFurther<R>(pub R, pub CanonicalJsonObject);

/// Keys of the request that are no content, and keys of the content that are not the client's to set.
const NOT_CONTENT: [&str; 3] = ["third_party_signed", "membership", "join_authorised_via_users_server"];

impl<R: IncomingRequest, S: Send + Sync> FromRequest<S> for WithFurther<R> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let body = Bytes::from_request(Request::from_parts(parts.clone(), body), state)
            .await
            .map_err(|rejection| body_error(&rejection))?;
        // First as a request: it refuses what is not even JSON.
        let Ruma(request) =
            Ruma::from_request(Request::from_parts(parts, Body::from(body.clone())), state).await?;
        let mut further = if body.is_empty() {
            CanonicalJsonObject::new()
        } else {
            let body: &RawValue =
                serde_json::from_slice(&body).map_err(|e| ApiError::bad_json(e.to_string()))?;
            parse_content(body)?
        };
        further.retain(|key, _| !NOT_CONTENT.contains(&key.as_str()));
        Ok(Self(request, further))
    }
}
