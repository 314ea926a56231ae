//! A panic in one request is that request's misfortune: it is answered, and the server lives on. The
//! panic itself is logged by the process's hook, in the span of the request.

use std::any::Any;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use ruma::api::error::ErrorKind;
use tower_http::catch_panic::CatchPanicLayer;

use crate::api::ApiError;

/// Turns a panic into an answer with status 500.
pub fn layer() -> CatchPanicLayer<fn(Box<dyn Any + Send>) -> Response> {
    CatchPanicLayer::custom(answer)
}

fn answer(_payload: Box<dyn Any + Send>) -> Response {
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorKind::Unknown, "Internal server error")
        .into_response()
}
