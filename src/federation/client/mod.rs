//! Asking another server: found, signed, bounded, and left alone while it is out of order.
//!
//! [`FederationClient`] takes ruma's request types. It never retries: whether something is worth asking again is
//! the caller's knowledge.

mod request_types;
#[cfg(test)]
mod tests;
pub(super) mod throttled;

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, Request, Response, header::AUTHORIZATION};
use ruma::{
    OwnedServerName, ServerName,
    api::{IncomingResponseExt, OutgoingBody, OutgoingRequest},
};

pub use self::request_types::{FederationAuthentication, FederationPath};
use self::throttled::{Kind, Throttled};
use super::{
    Backoff, Discovery, FederationError, ServerPolicy,
    limits::{ANSWER_BYTES_MAX, REQUEST_TIME_MAX, SIGNED_INLINE_BYTES_MAX, STATE_BYTES_MAX, STATE_TIME_MAX},
};
use crate::{
    matrix::{SigningKey, request_signing::SignedParts},
    net::outbound::{OutboundClient, ResponseBody, ResponseLimits},
};

/// How a request to another server differs from the usual one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendOptions {
    /// From the request to the last byte of the answer. Finding the server comes on top.
    pub time_max: Duration,
    /// Bytes of the answer at most.
    pub bytes_max: u64,
    /// Whether to ask although the server failed lately: where a user waits for just this server (a join), or
    /// where it evidently is alive.
    pub even_if_backing_off: bool,
}

impl Default for SendOptions {
    fn default() -> Self {
        Self { time_max: REQUEST_TIME_MAX, bytes_max: ANSWER_BYTES_MAX, even_if_backing_off: false }
    }
}

impl SendOptions {
    /// For answers that hold a room's state (`send_join`, `state`): slow and large.
    pub const STATE: Self =
        Self { time_max: STATE_TIME_MAX, bytes_max: STATE_BYTES_MAX, even_if_backing_off: false };

    /// The same, also if the server failed lately.
    #[must_use]
    pub const fn insisting(self) -> Self {
        Self { even_if_backing_off: true, ..self }
    }
}

/// Asks other servers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct FederationClient(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    policy: ServerPolicy,
    key: SigningKey,
    http: OutboundClient,
    discovery: Discovery,
    backoff: Backoff,
    throttled: Throttled,
}

impl FederationClient {
    /// Signs with `key`, and sends with `http`, which finds the places of a host as
    /// [`MatrixLocator`](super::discovery::MatrixLocator) does.
    pub fn new(
        policy: ServerPolicy,
        key: SigningKey,
        http: OutboundClient,
        discovery: Discovery,
        backoff: Backoff,
    ) -> Self {
        Self(Arc::new(Inner { policy, key, http, discovery, backoff, throttled: Throttled::default() }))
    }

    /// Which servers are left alone.
    pub fn backoff(&self) -> &Backoff {
        &self.0.backoff
    }

    /// Asks `destination`, unless it failed lately.
    pub async fn send<R>(
        &self,
        destination: &ServerName,
        request: R,
    ) -> Result<R::IncomingResponse, FederationError>
    where
        R: OutgoingRequest,
        R::Authentication: FederationAuthentication,
        R::PathBuilder: FederationPath,
    {
        self.send_with(destination, request, SendOptions::default()).await
    }

    /// Asks `destination` with other bounds than the usual ones.
    pub async fn send_with<R>(
        &self,
        destination: &ServerName,
        request: R,
        options: SendOptions,
    ) -> Result<R::IncomingResponse, FederationError>
    where
        R: OutgoingRequest,
        R::Authentication: FederationAuthentication,
        R::PathBuilder: FederationPath,
    {
        let outgoing = Outgoing::of(request, destination)?;
        let response = self.answer(outgoing, options).await?;
        let response = response.map(|body| body.to_vec());
        let (parts, body) = response.into_parts();
        R::IncomingResponse::try_from_http_response(Response::from_parts(parts, body.as_slice()))
            .map_err(|error| FederationError::BadAnswer(error.to_string()))
    }

    /// Asks `destination` and leaves the body of a good answer to be read, within the bounds of `options`: for
    /// media, and for answers that are too large to be held.
    pub async fn stream<R>(
        &self,
        destination: &ServerName,
        request: R,
        options: SendOptions,
    ) -> Result<Response<ResponseBody>, FederationError>
    where
        R: OutgoingRequest,
        R::Authentication: FederationAuthentication,
        R::PathBuilder: FederationPath,
    {
        self.exchange(Outgoing::of(request, destination)?, options).await
    }

    async fn answer(
        &self,
        outgoing: Outgoing,
        options: SendOptions,
    ) -> Result<Response<Bytes>, FederationError> {
        let (destination, kind) = (outgoing.destination.clone(), outgoing.kind);
        let (parts, body) = self.exchange(outgoing, options).await?.into_parts();
        match body.read_all().await {
            Ok(body) => Ok(Response::from_parts(parts, body)),
            Err(error) => Err(self.note(&destination, kind, error.into())),
        }
    }

    /// Finds the server, signs, sends, and notes whether the server is there.
    async fn exchange(
        &self,
        outgoing: Outgoing,
        options: SendOptions,
    ) -> Result<Response<ResponseBody>, FederationError> {
        let (destination, kind) = (outgoing.destination.clone(), outgoing.kind);
        if destination == self.0.policy.own_name() {
            return Err(FederationError::Local("it is this server itself".to_owned()));
        }
        if !self.0.policy.allows(&destination) {
            return Err(FederationError::NotAllowed);
        }
        if !options.even_if_backing_off {
            if let Some(until) = self.0.backoff.until(&destination) {
                return Err(FederationError::BackingOff { until });
            }
            if let Some(until) = self.0.throttled.until(&destination, kind, self.0.backoff.now_ms()) {
                return Err(FederationError::Throttled { until });
            }
        }
        let outcome = self.exchange_now(outgoing, options).await;
        match outcome {
            Ok(response) => {
                self.0.backoff.seen_alive(&destination);
                Ok(response)
            }
            Err(error) => Err(self.note(&destination, kind, error)),
        }
    }

    async fn exchange_now(
        &self,
        outgoing: Outgoing,
        options: SendOptions,
    ) -> Result<Response<ResponseBody>, FederationError> {
        let host = self.0.discovery.host(&outgoing.destination).await?;
        let request = self.signed(outgoing, host.as_str()).await?;
        let limits =
            ResponseLimits { bytes_max: options.bytes_max, time_max: options.time_max, redirects_max: 0 };
        let response = self.0.http.stream(request, limits).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if !(status.is_client_error() || status.is_server_error()) {
            return Err(FederationError::BadAnswer(format!("status {status}")));
        }
        let body = response.into_body().read_all().await.unwrap_or_default();
        Err(FederationError::from_answer(status, &body))
    }

    /// Notes what an error says of the server.
    fn note(&self, destination: &ServerName, kind: Kind, error: FederationError) -> FederationError {
        let retry_after = match &error {
            FederationError::Remote { retry_after, .. } => *retry_after,
            _ => None,
        };
        if error.is_outage() {
            self.0.backoff.failed(destination, retry_after);
        } else if matches!(error, FederationError::Remote { .. }) {
            self.0.backoff.seen_alive(destination);
            if error.is_throttled() {
                self.0.throttled.note(destination, kind, self.0.backoff.now_ms(), retry_after);
            }
        }
        error
    }

    /// The request as it is sent: to `host`, and with our signature where one belongs.
    async fn signed(&self, outgoing: Outgoing, host: &str) -> Result<Request<Bytes>, FederationError> {
        let Outgoing { destination, is_signed, request, .. } = outgoing;
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let uri = format!("https://{host}{path}").parse().map_err(local)?;
        let (mut parts, body) = request.into_parts();
        parts.uri = uri;
        if is_signed {
            let origin = self.0.policy.own_name().to_owned();
            let (method, key, content) = (parts.method.clone(), self.0.key.clone(), body.clone());
            let sign = move || {
                let signed = SignedParts {
                    method: method.as_str(),
                    uri: &path,
                    origin: &origin,
                    destination: &destination,
                    body: &content,
                };
                signed.authorization(&key)
            };
            let header = if body.len() > SIGNED_INLINE_BYTES_MAX {
                tokio::task::spawn_blocking(sign).await.map_err(local)?
            } else {
                sign()
            };
            let header = HeaderValue::try_from(header.map_err(local)?).map_err(local)?;
            parts.headers.insert(AUTHORIZATION, header);
        }
        Ok(Request::from_parts(parts, body))
    }
}

/// A request as ruma writes it, before it is known where it goes.
struct Outgoing {
    destination: OwnedServerName,
    kind: Kind,
    is_signed: bool,
    request: Request<Bytes>,
}

impl Outgoing {
    fn of<R>(request: R, destination: &ServerName) -> Result<Self, FederationError>
    where
        R: OutgoingRequest,
        R::Authentication: FederationAuthentication,
        R::PathBuilder: FederationPath,
    {
        let http = request
            .try_into_http_request_inner("https://destination.invalid", R::PathBuilder::input())
            .map_err(local)?;
        let (mut parts, body) = http.into_parts();
        if let Some(content_type) = body.content_type() {
            parts.headers.entry(http::header::CONTENT_TYPE).or_insert(content_type);
        }
        let body = body.try_into_buf::<BytesMut>().map_err(|error| local(error.into()))?.freeze();
        // POST and PUT have a body, if an empty one (specification, "API standards").
        let needs_body = matches!(parts.method, Method::POST | Method::PUT);
        let body = if needs_body && body.is_empty() { Bytes::from_static(b"{}") } else { body };
        Ok(Self {
            destination: destination.to_owned(),
            kind: std::any::type_name::<R>(),
            is_signed: R::Authentication::IS_SIGNED,
            request: Request::from_parts(parts, body),
        })
    }
}

fn local(error: impl std::fmt::Display) -> FederationError {
    FederationError::Local(error.to_string())
}
