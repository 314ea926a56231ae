//! The one place where errors become a status and an errcode (client-server API, "Standard error response").

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use ruma::api::{
    client::uiaa::UiaaInfo,
    error::{
        DeserializationError, ErrorKind, FromHttpRequestError, LimitExceededErrorData, RetryAfter,
        StandardErrorBody,
    },
};

use crate::{net::LimitExceeded, storage::StorageError};

/// An error as a client sees it.
#[derive(Debug)]
pub enum ApiError {
    /// The standard form.
    Standard {
        /// The HTTP status.
        status: StatusCode,
        /// The errcode and what belongs to it.
        kind: Box<ErrorKind>,
        /// What was wrong, for people.
        message: String,
    },
    /// More stages of user-interactive authentication are needed (401).
    Uiaa(Box<UiaaInfo>),
}

impl ApiError {
    /// Any status and kind.
    pub fn new(status: StatusCode, kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::Standard { status, kind: Box::new(kind), message: message.into() }
    }

    /// 403 `M_FORBIDDEN`.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, ErrorKind::Forbidden, message)
    }

    /// 404 `M_NOT_FOUND`.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorKind::NotFound, message)
    }

    /// 404 `M_UNRECOGNIZED`: this server has no such endpoint.
    pub fn unrecognized() -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorKind::Unrecognized, "Unrecognized request")
    }

    /// 400 `M_INVALID_PARAM`.
    pub fn invalid_param(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorKind::InvalidParam, message)
    }

    /// 400 `M_MISSING_PARAM`.
    pub fn missing_param(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorKind::MissingParam, message)
    }

    /// 400 `M_BAD_JSON`: JSON, but not what the endpoint takes.
    pub fn bad_json(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorKind::BadJson, message)
    }

    /// 400 `M_NOT_JSON`.
    pub fn not_json(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorKind::NotJson, message)
    }

    /// 413 `M_TOO_LARGE`.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorKind::TooLarge, message)
    }

    /// An errcode that ruma has no name for, such as those of proposals.
    pub fn custom(status: StatusCode, errcode: &'static str, message: impl Into<String>) -> Self {
        let kind = serde_json::from_value(serde_json::json!({ "errcode": errcode }));
        Self::new(status, kind.unwrap_or(ErrorKind::Unknown), message)
    }

    /// 500 `M_UNKNOWN`: what went wrong is in the log, not in the answer.
    pub fn internal(why: impl std::fmt::Display) -> Self {
        tracing::error!("a request failed: {why}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorKind::Unknown, "Internal server error")
    }

    /// What `Retry-After` says: whole seconds, rounded up, so that who waits them is let in.
    fn retry_after_seconds(&self) -> Option<u64> {
        let Self::Standard { kind, .. } = self else { return None };
        let ErrorKind::LimitExceeded(data) = &**kind else { return None };
        let Some(RetryAfter::Delay(delay)) = data.retry_after else { return None };
        Some(delay.as_secs() + u64::from(delay.subsec_nanos() > 0))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, body) = match &self {
            Self::Standard { status, kind, message } => (*status, standard_body(kind, message)),
            Self::Uiaa(info) => (StatusCode::UNAUTHORIZED, serde_json::to_vec(info)),
        };
        let body = body.unwrap_or_else(|e| {
            tracing::error!("an error could not be written as JSON: {e}");
            br#"{"errcode":"M_UNKNOWN","error":"Internal server error"}"#.to_vec()
        });
        let mut response = (status, [(http::header::CONTENT_TYPE, "application/json")], body).into_response();
        if let Some(seconds) = self.retry_after_seconds() {
            response.headers_mut().insert(http::header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// A locked account's session lives on: its error is one of those that say so ("Account locking").
fn standard_body(kind: &ErrorKind, message: &str) -> Result<Vec<u8>, serde_json::Error> {
    let body = StandardErrorBody::new(kind.clone(), message.to_owned());
    if !matches!(kind, ErrorKind::UserLocked) {
        return serde_json::to_vec(&body);
    }
    let mut body = serde_json::to_value(&body)?;
    body["soft_logout"] = true.into();
    serde_json::to_vec(&body)
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        if error.is_full() {
            tracing::error!("a request was refused: {error}");
            let message = "The server's disk is full; nothing was changed";
            return Self::new(StatusCode::INSUFFICIENT_STORAGE, ErrorKind::Unknown, message);
        }
        Self::internal(error)
    }
}

/// 429 `M_LIMIT_EXCEEDED`, with the header `Retry-After` and the older field `retry_after_ms`.
impl From<LimitExceeded> for ApiError {
    fn from(error: LimitExceeded) -> Self {
        let mut data = LimitExceededErrorData::new();
        data.retry_after = Some(RetryAfter::Delay(error.retry_after));
        Self::new(StatusCode::TOO_MANY_REQUESTS, ErrorKind::LimitExceeded(data), error.to_string())
    }
}

/// For a request that its ruma type did not accept. The body is known to be JSON at this point.
impl From<FromHttpRequestError> for ApiError {
    fn from(error: FromHttpRequestError) -> Self {
        match error {
            FromHttpRequestError::MethodMismatch { .. } => {
                Self::new(StatusCode::METHOD_NOT_ALLOWED, ErrorKind::Unrecognized, error.to_string())
            }
            FromHttpRequestError::Deserialization(DeserializationError::Json(e)) if missing_field(&e) => {
                Self::missing_param(e.to_string())
            }
            FromHttpRequestError::Deserialization(DeserializationError::Json(e)) => {
                Self::bad_json(e.to_string())
            }
            FromHttpRequestError::Deserialization(DeserializationError::Query(e)) => {
                let message = e.to_string();
                if message.contains("missing field") {
                    Self::missing_param(message)
                } else {
                    Self::invalid_param(message)
                }
            }
            other => Self::invalid_param(other.to_string()),
        }
    }
}

fn missing_field(error: &serde_json::Error) -> bool {
    error.is_data() && error.to_string().starts_with("missing field")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_limited_client_is_told_when_to_come_again() {
        let error = ApiError::from(LimitExceeded { retry_after: Duration::from_millis(1_500) });
        let response = error.into_response();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()["retry-after"], "2");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&body["errcode"], &body["retry_after_ms"]), (&"M_LIMIT_EXCEEDED".into(), &1_500.into()));
        assert!(body["error"].is_string());
    }
}
