//! Verifying requests from other servers ([specification]).
//!
//! [specification]: https://spec.matrix.org/v1.19/server-server-api/#request-authentication

use std::collections::HashMap;

use bytes::Bytes;
use http::{HeaderMap, header::AUTHORIZATION};
use ruma::{OwnedServerName, api::federation::authentication::XMatrix};

use super::{
    super::limits::{AUTHORIZATION_HEADERS_MAX, SIGNED_INLINE_BYTES_MAX},
    Need, ServerKeys, ServerKeysError,
};
use crate::matrix::{canonical_json::CanonicalJsonError, request_signing::SignedParts};

/// What of a request is verified.
#[derive(Debug, Clone)]
pub struct RequestToVerify {
    /// The method.
    pub method: http::Method,
    /// Path and query, exactly as they came.
    pub uri: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Why a request is not believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestRefusal {
    /// There is no signature.
    #[error("A signature is needed (Authorization: X-Matrix …)")]
    Missing,
    /// The header is not one.
    #[error("The Authorization header is malformed: {0}")]
    Malformed(String),
    /// It was meant for another server.
    #[error("The request was meant for {0}")]
    WrongDestination(OwnedServerName),
    /// The operator does not want this server to be talked to.
    #[error("This server does not talk to {0}")]
    NotAllowed(OwnedServerName),
    /// The body, which the signature covers, is not JSON.
    #[error(transparent)]
    Body(#[from] CanonicalJsonError),
    /// None of the keys is known and current.
    #[error("None of the keys that {0} signed the request with is known and valid")]
    NoKey(OwnedServerName),
    /// The signature is not right.
    #[error("The signature of {0} is wrong")]
    WrongSignature(OwnedServerName),
    /// It could not be checked.
    #[error(transparent)]
    Failed(#[from] ServerKeysError),
}

impl ServerKeys {
    /// The server that a request comes from, if one of its current keys has signed it, for us. That server is
    /// alive then, which ends its being left alone.
    pub async fn verify_request(&self, request: RequestToVerify) -> Result<OwnedServerName, RequestRefusal> {
        let credentials = credentials(&request.headers)?;
        let Some(first) = credentials.first() else { return Err(RequestRefusal::Missing) };
        let origin = first.origin.clone();
        if credentials.iter().any(|other| other.origin != origin) {
            return Err(RequestRefusal::Malformed("there are several origins".to_owned()));
        }
        let own = self.0.policy.own_name().to_owned();
        let destinations = credentials.iter().filter_map(|given| given.destination.clone());
        if let Some(other) = destinations.into_iter().find(|destination| *destination != own) {
            return Err(RequestRefusal::WrongDestination(other));
        }
        if origin == own || !self.0.policy.allows(&origin) {
            return Err(RequestRefusal::NotAllowed(origin));
        }
        self.verify_signature(request, &origin, &credentials).await?;
        self.0.client.backoff().seen_alive(&origin);
        Ok(origin)
    }

    async fn verify_signature(
        &self,
        request: RequestToVerify,
        origin: &OwnedServerName,
        credentials: &[XMatrix],
    ) -> Result<(), RequestRefusal> {
        let text = self.signed_text(request, origin.clone()).await?;
        let now = self.0.clock.now_ms();
        let need = Need {
            key_ids: credentials.iter().map(|given| given.key.to_string()).collect(),
            valid_at: now,
            is_current: true,
            insists: true,
        };
        let keys = self.obtain(HashMap::from([(origin.clone(), vec![need])])).await?;
        let mut refusal = RequestRefusal::NoKey(origin.clone());
        for given in credentials {
            let known = keys.get(origin).and_then(|keys| keys.find(given.key.as_str(), now));
            let Some(key) = known.filter(|key| !key.is_old) else { continue };
            if key.key.verifies(text.as_bytes(), &given.sig.encode()) {
                return Ok(());
            }
            refusal = RequestRefusal::WrongSignature(origin.clone());
        }
        Err(refusal)
    }

    /// The text that must be signed. Long bodies are worked through off the runtime's threads.
    async fn signed_text(
        &self,
        request: RequestToVerify,
        origin: OwnedServerName,
    ) -> Result<String, RequestRefusal> {
        let destination = self.0.policy.own_name().to_owned();
        let is_long = request.body.len() > SIGNED_INLINE_BYTES_MAX;
        let build = move || {
            SignedParts {
                method: request.method.as_str(),
                uri: &request.uri,
                origin: &origin,
                destination: &destination,
                body: &request.body,
            }
            .text()
        };
        if !is_long {
            return Ok(build()?);
        }
        let text = tokio::task::spawn_blocking(build).await;
        Ok(text.map_err(|_| RequestRefusal::Failed(ServerKeysError::Stopping))??)
    }
}

/// The credentials in the headers; other schemes are passed over.
fn credentials(headers: &HeaderMap) -> Result<Vec<XMatrix>, RequestRefusal> {
    let values = headers.get_all(AUTHORIZATION).iter().take(AUTHORIZATION_HEADERS_MAX);
    let texts = values.filter_map(|value| value.to_str().ok());
    let ours = texts.filter(|text| {
        let scheme = text.trim_start().split(' ').next().unwrap_or_default();
        scheme.eq_ignore_ascii_case(XMatrix::AUTH_SCHEME)
    });
    ours.map(|text| XMatrix::parse(text).map_err(|error| RequestRefusal::Malformed(error.to_string())))
        .collect()
}
