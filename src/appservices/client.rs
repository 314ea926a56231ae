//! Requests to application services, with their token.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE},
};

use super::limits;
use crate::{
    net::outbound::{OutboundClient, OutboundError, ResponseLimits},
    users::appservices::Registration,
};

/// Why an application service did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum AppserviceError {
    /// It has no URL.
    #[error("the application service has no URL")]
    NoUrl,
    /// The URL and path make no request.
    #[error("not a request: {0}")]
    Request(#[from] http::Error),
    /// It was not reached, or gave no whole answer.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// It refused.
    #[error("it answered {status}: {}", shown(body))]
    Refused {
        /// The status.
        status: StatusCode,
        /// What it said.
        body: Bytes,
    },
}

/// The start of an answer, for logs and messages.
fn shown(body: &Bytes) -> String {
    const SHOWN_CHARS_MAX: usize = 200;
    String::from_utf8_lossy(body).chars().take(SHOWN_CHARS_MAX).collect()
}

impl AppserviceError {
    /// Whether it does not know the path: then the one of before may do.
    pub(super) fn is_unknown_path(&self) -> bool {
        matches!(self, Self::Refused { status, .. }
            if matches!(*status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED))
    }
}

/// Asks application services. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AppserviceClient {
    http: OutboundClient,
}

impl AppserviceClient {
    /// By a client that may connect to private addresses: the operator wrote the URLs.
    pub fn new(http: OutboundClient) -> Self {
        Self { http }
    }

    /// Sends a request; the body of a good answer.
    pub async fn send(
        &self,
        registration: &Registration,
        method: Method,
        path_and_query: &str,
        body: Bytes,
        time_max: Duration,
    ) -> Result<Bytes, AppserviceError> {
        let url = registration.url.as_ref().ok_or(AppserviceError::NoUrl)?;
        let mut token = HeaderValue::from_str(&format!("Bearer {}", registration.hs_token.expose()))
            .map_err(http::Error::from)?;
        token.set_sensitive(true);
        let request = Request::builder()
            .method(method)
            .uri(format!("{url}{path_and_query}"))
            .header(AUTHORIZATION, token)
            .header(CONTENT_TYPE, "application/json")
            .body(body)?;
        let bounds = ResponseLimits { bytes_max: limits::RESPONSE_BYTES_MAX, time_max, redirects_max: 0 };
        let response = self.http.request(request, bounds).await?;
        let (parts, body) = response.into_parts();
        if parts.status.is_success() {
            return Ok(body);
        }
        Err(AppserviceError::Refused { status: parts.status, body })
    }
}
