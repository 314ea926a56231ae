//! Reads request bodies, within bounds of size, time and memory of all together, before the endpoint is
//! called: an endpoint gets a body that is there, whole. Uploads of media alone go on as streams.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, HttpBody},
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use http::{
    HeaderValue, StatusCode,
    header::{CONTENT_LENGTH, RETRY_AFTER},
};
use http_body_util::BodyExt;
use ruma::api::error::ErrorKind;
use thiserror::Error;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::Shell;
use crate::{
    api::{ApiError, client::media},
    server::limits::{REQUEST_BODIES_BUDGET_FACTOR, SMALL_BODIES_MAX, SMALL_BODY_BYTES_MAX},
};

/// Memory is counted in units of this many bytes.
const UNIT_BYTES: u64 = 1024;

/// The bounds of bodies, and the memory that is left for them.
#[derive(Debug)]
pub struct BodyLimits {
    bytes_max: u64,
    time_max: Duration,
    units: Arc<Semaphore>,
    small_bytes_max: u64,
    small: Arc<Semaphore>,
}

impl BodyLimits {
    /// Bodies of at most `bytes_max` bytes each, and [`REQUEST_BODIES_BUDGET_FACTOR`] times as much
    /// together; each must be there after `time_max`.
    pub fn new(bytes_max: u64, time_max: Duration) -> Self {
        let budget = bytes_max.saturating_mul(REQUEST_BODIES_BUDGET_FACTOR).div_ceil(UNIT_BYTES);
        let units = usize::try_from(budget).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self {
            bytes_max,
            time_max,
            units: Arc::new(Semaphore::new(units)),
            small_bytes_max: SMALL_BODY_BYTES_MAX.min(bytes_max / 16),
            small: Arc::new(Semaphore::new(SMALL_BODIES_MAX)),
        }
    }
}

/// Why there is no body.
#[derive(Debug, Error)]
enum BodyError {
    #[error("The request body is larger than the {bytes_max} bytes that are allowed")]
    TooLarge { bytes_max: u64 },
    #[error("The request body was not received in time")]
    TooSlow,
    #[error("The request body could not be read")]
    Unreadable,
    #[error("The server is handling too many large requests; try again")]
    Busy,
}

impl IntoResponse for BodyError {
    fn into_response(self) -> Response {
        let message = self.to_string();
        let unknown = |status| ApiError::new(status, ErrorKind::Unknown, message.clone()).into_response();
        match self {
            Self::TooLarge { .. } => ApiError::too_large(message).into_response(),
            Self::TooSlow => unknown(StatusCode::REQUEST_TIMEOUT),
            Self::Unreadable => unknown(StatusCode::BAD_REQUEST),
            Self::Busy => {
                let mut response = unknown(StatusCode::SERVICE_UNAVAILABLE);
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
                response
            }
        }
    }
}

/// Reads the body and calls the endpoint. The body's memory counts until the answer is there.
pub async fn read(State(shell): State<Shell>, request: Request, next: Next) -> Response {
    if media::takes_stream(request.method(), request.uri().path()) {
        return next.run(request).await;
    }
    let limits = &shell.bodies;
    let (parts, body) = request.into_parts();
    let announced = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|bytes: u64| bytes > limits.bytes_max) {
        return BodyError::TooLarge { bytes_max: limits.bytes_max }.into_response();
    }
    if body.is_end_stream() {
        return next.run(Request::from_parts(parts, Body::empty())).await;
    }
    let read = timeout(limits.time_max, collect(body, limits)).await.unwrap_or(Err(BodyError::TooSlow));
    match read {
        Ok((bytes, memory)) => {
            let response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
            drop(memory);
            response
        }
        Err(error) => error.into_response(),
    }
}

/// The whole body, and its share of the memory.
async fn collect(
    mut body: Body,
    limits: &BodyLimits,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), BodyError> {
    let mut whole = BytesMut::new();
    let mut memory = Memory { limits, held: None, is_small: true };
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame.map_err(|_| BodyError::Unreadable)?.into_data() else { continue };
        let bytes = (whole.len() as u64).saturating_add(chunk.len() as u64);
        if bytes > limits.bytes_max {
            return Err(BodyError::TooLarge { bytes_max: limits.bytes_max });
        }
        memory.hold(bytes)?;
        if whole.is_empty() {
            // The usual body is one chunk, and is not copied.
            whole = BytesMut::from(chunk);
        } else {
            whole.extend_from_slice(&chunk);
        }
    }
    Ok((whole.freeze(), memory.held))
}

/// What one body holds of the memory for all.
struct Memory<'l> {
    limits: &'l BodyLimits,
    held: Option<OwnedSemaphorePermit>,
    is_small: bool,
}

impl Memory<'_> {
    /// Holds as much as a body of this length needs. Never waits: bodies that each have a part and wait for
    /// the rest could wait for one another.
    fn hold(&mut self, bytes: u64) -> Result<(), BodyError> {
        if self.is_small && bytes <= self.limits.small_bytes_max {
            if self.held.is_none() {
                self.held = self.limits.small.clone().try_acquire_owned().ok();
            }
            if self.held.is_some() {
                return Ok(());
            }
        }
        if std::mem::take(&mut self.is_small) {
            self.held = None;
        }
        let held = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits) as u64;
        let wanted = u32::try_from(bytes.div_ceil(UNIT_BYTES).saturating_sub(held)).unwrap_or(u32::MAX);
        let more = self.limits.units.clone().try_acquire_many_owned(wanted).map_err(|_| BodyError::Busy)?;
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        Ok(())
    }
}
