//! What the operations on rendezvous sessions have in common: the headers of requests and answers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::response::{IntoResponse, Response};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{
        ACCESS_CONTROL_EXPOSE_HEADERS, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, EXPIRES,
        LAST_MODIFIED, PRAGMA,
    },
};
use ruma::http_headers::system_time_to_http_date;

use crate::{api::ApiError, users::rendezvous::RendezvousState};

/// An answer with the headers that tell of a session.
pub fn answer(status: StatusCode, state: &RendezvousState, body: impl IntoResponse) -> Response {
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    // Web clients may read the tag.
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("ETag"));
    let told = [
        (ETAG, HeaderValue::from_str(&state.etag).ok()),
        (EXPIRES, date(state.expires_at_ms)),
        (LAST_MODIFIED, date(state.written_at_ms)),
    ];
    headers.extend(told.into_iter().filter_map(|(name, value)| Some((name, value?))));
    response
}

fn date(at_ms: u64) -> Option<HeaderValue> {
    let time: SystemTime = UNIX_EPOCH.checked_add(Duration::from_millis(at_ms))?;
    system_time_to_http_date(&time).ok()
}

/// 404: there is no such session, or it has ended.
pub fn unknown() -> ApiError {
    ApiError::not_found("There is no such rendezvous session (any more)")
}

/// The text of a request, which must say how long it is and that it is plain text.
pub fn text(headers: &HeaderMap, body: &[u8]) -> Result<String, ApiError> {
    required(headers, &CONTENT_LENGTH)?;
    let kind = required(headers, &CONTENT_TYPE)?;
    if kind.split(';').next().map(str::trim) != Some("text/plain") {
        return Err(ApiError::invalid_param("The content must be text/plain"));
    }
    String::from_utf8(body.to_vec()).map_err(|_| ApiError::invalid_param("The content must be UTF-8"))
}

/// A header that has to be there.
pub fn required<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<&'h str, ApiError> {
    let value = headers.get(name).ok_or_else(|| ApiError::missing_param(format!("{name} is missing")))?;
    value.to_str().map_err(|_| ApiError::invalid_param(format!("{name} is not readable")))
}

/// Whether this is one strong entity tag (RFC 9110, 8.8.3).
pub fn is_strong_tag(value: &str) -> bool {
    let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    inner.is_some_and(|inner| !inner.contains('"'))
}
