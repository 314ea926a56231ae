//! The promise that an answered request is not lost, kept in one place for all endpoints.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::Method;

use super::ApiError;
use crate::storage::Storage;

/// Holds back the answer to a request that may have written until everything applied so far is durable. A
/// request that wrote nothing waits only for others' writes of that moment, at most one fsync.
pub async fn await_durable(State(storage): State<Storage>, request: Request, next: Next) -> Response {
    let reads_only = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let response = next.run(request).await;
    if reads_only {
        return response;
    }
    match storage.durable().await {
        Ok(()) => response,
        Err(e) => ApiError::from(e).into_response(),
    }
}
