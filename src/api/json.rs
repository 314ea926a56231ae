//! Requests and answers as JSON, for what no ruma type fits.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    response::{IntoResponse, Response},
};
use http::header::CONTENT_TYPE;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    ApiError,
    request::{body_error, check_json},
};

/// A body that is read as `T`.
#[derive(Debug)]
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let body = Bytes::from_request(request, state).await.map_err(|rejection| body_error(&rejection))?;
        check_json(&body)?;
        serde_json::from_slice(&body).map(Self).map_err(|e| {
            let message = e.to_string();
            if message.starts_with("missing field") {
                ApiError::missing_param(message)
            } else {
                ApiError::bad_json(message)
            }
        })
    }
}

/// An answer that is written as JSON.
#[derive(Debug)]
pub struct JsonResponse<T>(pub T);

impl<T: Serialize> IntoResponse for JsonResponse<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([(CONTENT_TYPE, "application/json")], body).into_response(),
            Err(e) => ApiError::internal(format!("an answer could not be written: {e}")).into_response(),
        }
    }
}
