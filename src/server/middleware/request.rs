//! Each request's id, client and line in the log.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Instant,
};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderName, HeaderValue};
use tracing::{Instrument, Span};

use super::Shell;
use crate::net::{ClientAddress, Peer};

/// The header that tells a client the id under which its request stands in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives the request an id and finds its client, handles it within a span, and logs the outcome. The
/// path is logged, the query is not: it may hold an access token.
pub async fn handle(State(shell): State<Shell>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = next_id();
    let peer = request.extensions().get::<Peer>().copied().unwrap_or(Peer::UnixSocket);
    let client = ClientAddress::resolve(peer, request.headers(), &shell.trusted_proxies);
    request.extensions_mut().insert(client);

    let span = tracing::info_span!("request", id, method = %request.method(), path = request.uri().path());
    let mut response = next.run(request).instrument(span.clone()).await;
    log_outcome(&span, &response, started);
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// Logs how a request ended: errors of ours for the operator, everything else only for debugging.
fn log_outcome(span: &Span, response: &Response, started: Instant) {
    let status = response.status().as_u16();
    let elapsed_ms = started.elapsed().as_millis();
    span.in_scope(|| {
        if response.status().is_server_error() {
            tracing::warn!(status, elapsed_ms, "failed");
        } else {
            tracing::debug!(status, elapsed_ms, "answered");
        }
    });
}

/// An id for a request: the process and a running number, so that ids of two runs differ.
fn next_id() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("{:x}-{:x}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}
