//! The client: requests with bounds, redirects included.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{AUTHORIZATION, CONTENT_LENGTH, COOKIE, HOST, LOCATION, USER_AGENT},
    uri::PathAndQuery,
};
use hyper::body::Body;
use rustls::ClientConfig;
use tokio::time::{Instant, timeout_at};

use super::{
    AddressPolicy, Locate, OutboundError, OutboundSetupError, Resolver, ResponseBody, WebLocator,
    connector::{Connector, Origin},
    pool::Pool,
    tls,
};
use crate::config::AddressRange;

/// What this server calls itself.
const USER_AGENT_TEXT: &str = concat!("conduit/", env!("CARGO_PKG_VERSION"));

/// What all clients of the process share: the resolver, trust, and which addresses are allowed.
#[derive(Debug, Clone)]
pub struct Outbound {
    resolver: Resolver,
    tls: Arc<ClientConfig>,
    policy: AddressPolicy,
}

/// How much of an answer is taken, and for how long it is waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseLimits {
    /// Bytes of the body at most.
    pub bytes_max: u64,
    /// From the request to the last byte of the answer, redirects included.
    pub time_max: Duration,
    /// Redirects that are followed. Only those of GET and HEAD are; others are answers like any.
    pub redirects_max: usize,
}

impl Outbound {
    /// Trusts the system's certificate authorities and those in `ca_file`, and connects to the public internet
    /// and to `allowed` ranges.
    pub fn new(ca_file: Option<&Path>, allowed: &[AddressRange]) -> Result<Self, OutboundSetupError> {
        Ok(Self {
            resolver: Resolver::new(),
            tls: tls::client_config(ca_file)?,
            policy: AddressPolicy::public_and(allowed),
        })
    }

    /// For URLs that come from strangers.
    pub fn public(&self) -> OutboundClient {
        self.client(Arc::new(WebLocator), self.policy.clone(), false)
    }

    /// For URLs that come from strangers, where neither they nor a redirect may go without TLS.
    pub fn public_secure(&self) -> OutboundClient {
        self.client(Arc::new(WebLocator), self.policy.clone(), true)
    }

    /// For URLs that the operator has configured: private addresses are allowed.
    pub fn trusted(&self) -> OutboundClient {
        self.client(Arc::new(WebLocator), AddressPolicy::everything(), false)
    }

    /// For hosts that come from strangers and are found in a way of their own; with TLS only.
    pub fn located(&self, locator: Arc<dyn Locate>) -> OutboundClient {
        self.client(locator, self.policy.clone(), true)
    }

    /// The resolver.
    pub fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    fn client(&self, locator: Arc<dyn Locate>, policy: AddressPolicy, needs_tls: bool) -> OutboundClient {
        let (resolver, tls) = (self.resolver.clone(), self.tls.clone());
        OutboundClient { pool: Pool::new(Connector { resolver, policy, locator, tls }), needs_tls }
    }
}

/// Asks other hosts. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct OutboundClient {
    pool: Pool,
    needs_tls: bool,
}

impl OutboundClient {
    /// The whole answer to a request, whatever its status. The request's URI is absolute; `Host` and
    /// `User-Agent` are set here unless the caller has.
    pub async fn request(
        &self,
        request: Request<Bytes>,
        limits: ResponseLimits,
    ) -> Result<Response<Bytes>, OutboundError> {
        let (parts, body) = self.stream(request, limits).await?.into_parts();
        Ok(Response::from_parts(parts, body.read_all().await?))
    }

    /// As [`request`](Self::request), with a body that is still to be read, within the same limits.
    pub async fn stream(
        &self,
        request: Request<Bytes>,
        limits: ResponseLimits,
    ) -> Result<Response<ResponseBody>, OutboundError> {
        let deadline = Instant::now() + limits.time_max;
        timeout_at(deadline, self.follow(request, limits, deadline))
            .await
            .unwrap_or(Err(OutboundError::Timeout(limits.time_max)))
    }

    async fn follow(
        &self,
        mut request: Request<Bytes>,
        limits: ResponseLimits,
        deadline: Instant,
    ) -> Result<Response<ResponseBody>, OutboundError> {
        for redirects_left in (0..=limits.redirects_max).rev() {
            let response = self.send_once(request.clone(), limits, deadline).await?;
            let Some(target) = redirect(&request, &response) else { return Ok(response) };
            if limits.redirects_max == 0 {
                return Ok(response);
            }
            if redirects_left == 0 {
                break;
            }
            request = redirected(request, &target)?;
        }
        Err(OutboundError::Redirects)
    }

    async fn send_once(
        &self,
        mut request: Request<Bytes>,
        limits: ResponseLimits,
        deadline: Instant,
    ) -> Result<Response<ResponseBody>, OutboundError> {
        let origin = self.origin(request.uri())?;
        let host = HeaderValue::from_str(origin.authority.as_str())
            .map_err(|error| OutboundError::Url(error.to_string()))?;
        request.headers_mut().entry(HOST).or_insert(host);
        request.headers_mut().entry(USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT_TEXT));
        let (response, lease) = self.pool.send(&origin, request).await?;
        let announced = response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        let is_too_long = announced
            .and_then(|length| length.parse::<u64>().ok())
            .is_some_and(|length| length > limits.bytes_max && !response.body().is_end_stream());
        if is_too_long {
            return Err(OutboundError::TooLarge(limits.bytes_max));
        }
        Ok(response.map(|body| ResponseBody::new(body, limits.bytes_max, limits.time_max, deadline, lease)))
    }

    fn origin(&self, uri: &Uri) -> Result<Origin, OutboundError> {
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if !self.needs_tls => false,
            Some("http") => return Err(OutboundError::Redirects),
            _ => return Err(OutboundError::Url(format!("{uri} is neither http nor https"))),
        };
        let authority =
            uri.authority().cloned().ok_or_else(|| OutboundError::Url(format!("{uri}: no host")))?;
        if authority.host().is_empty() || authority.as_str().contains('@') {
            return Err(OutboundError::Url(format!("{authority} is not a host")));
        }
        Ok(Origin { is_tls, authority })
    }
}

/// Where a redirect leads, if this is one that is followed.
fn redirect(request: &Request<Bytes>, response: &Response<ResponseBody>) -> Option<String> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let is_redirect = matches!(
        response.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    if !is_read || !is_redirect {
        return None;
    }
    response.headers().get(LOCATION)?.to_str().ok().map(str::to_owned)
}

/// The request to the target of a redirect. Secrets are not taken along to another host.
fn redirected(mut request: Request<Bytes>, target: &str) -> Result<Request<Bytes>, OutboundError> {
    let from = request.uri().clone();
    let to = join(&from, target).ok_or(OutboundError::Redirects)?;
    let is_same_host = from.scheme() == to.scheme() && from.authority() == to.authority();
    let headers = request.headers_mut();
    headers.remove(HOST);
    if !is_same_host {
        headers.remove(AUTHORIZATION);
        headers.remove(COOKIE);
    }
    *request.uri_mut() = to;
    Ok(request)
}

/// A `Location` relative to the URL that it was found at (RFC 3986, section 5, for the forms in use).
pub fn join(base: &Uri, target: &str) -> Option<Uri> {
    let target = target.split('#').next().unwrap_or_default();
    let mut parts = base.clone().into_parts();
    if let Some(rest) = target.strip_prefix("//") {
        return format!("{}://{rest}", base.scheme_str()?).parse().ok();
    }
    let has_scheme = target.split_once(':').is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    if has_scheme {
        return target.parse().ok();
    }
    let path = if target.starts_with('/') {
        target.to_owned()
    } else if target.starts_with('?') {
        format!("{}{target}", base.path())
    } else {
        let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{folder}/{target}")
    };
    parts.path_and_query = Some(path.parse::<PathAndQuery>().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_joined_to_where_they_were_found() {
        let base: Uri = "https://a.test:8/x/y?z=1".parse().unwrap();
        let joined = |target: &str| join(&base, target).map(|uri| uri.to_string());
        for (target, expected) in [
            ("https://b.test/q", "https://b.test/q"),
            ("//b.test/q", "https://b.test/q"),
            ("/q?r", "https://a.test:8/q?r"),
            ("q", "https://a.test:8/x/q"),
            ("?w", "https://a.test:8/x/y?w"),
            ("/q#part", "https://a.test:8/q"),
        ] {
            assert_eq!(joined(target).as_deref(), Some(expected), "{target}");
        }
        assert_eq!(joined("http://"), None);
    }

    #[test]
    fn secrets_stay_with_their_host() {
        let request = |uri: &str| {
            Request::get(uri).header(AUTHORIZATION, "x").header(HOST, "a.test").body(Bytes::new()).unwrap()
        };
        let same = redirected(request("https://a.test/1"), "/2").unwrap();
        assert!(same.headers().contains_key(AUTHORIZATION));
        for other in ["https://b.test/", "http://a.test/", "https://a.test:444/"] {
            let other = redirected(request("https://a.test/1"), other).unwrap();
            assert!(!other.headers().contains_key(AUTHORIZATION) && !other.headers().contains_key(HOST));
        }
    }
}
