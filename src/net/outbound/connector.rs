//! Connections: where an origin is, whether it may be connected to, TCP, TLS.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
};

use http::uri::Authority;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    AddressPolicy, OutboundError, Resolver,
    limits::{ADDRESSES_MAX, CONNECT_TIME_MAX, ENDPOINTS_MAX, NEXT_ADDRESS_DELAY},
};

/// A future behind a pointer.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where requests of one kind go, and under which name: what connections are shared by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Whether the connection is secured.
    pub is_tls: bool,
    /// The host, and the port if the URL names one.
    pub authority: Authority,
}

impl Origin {
    /// The host without brackets.
    pub fn host(&self) -> &str {
        self.authority.host().trim_start_matches('[').trim_end_matches(']')
    }
}

/// A host by name or address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// An address.
    Address(IpAddr),
    /// A name to be resolved.
    Name(String),
}

/// A place to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The host.
    pub host: Host,
    /// The port.
    pub port: u16,
}

/// Finds the places of an origin.
pub trait Locate: fmt::Debug + Send + Sync + 'static {
    /// The places to try for a URL with this host and maybe port, best first. `is_tls` says which default port
    /// belongs to the URL's scheme.
    fn locate<'a>(
        &'a self,
        authority: &'a Authority,
        is_tls: bool,
    ) -> BoxFuture<'a, Result<Vec<Endpoint>, OutboundError>>;
}

/// Finds hosts as browsers do: by the name in the URL, with port 80 or 443 unless it names another.
#[derive(Debug, Clone, Copy)]
pub struct WebLocator;

impl Locate for WebLocator {
    fn locate<'a>(
        &'a self,
        authority: &'a Authority,
        is_tls: bool,
    ) -> BoxFuture<'a, Result<Vec<Endpoint>, OutboundError>> {
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let endpoint = Endpoint { host: Host::of(authority), port };
        Box::pin(std::future::ready(Ok(vec![endpoint])))
    }
}

impl Host {
    /// The host of a URL.
    pub fn of(authority: &Authority) -> Self {
        let text = authority.host().trim_start_matches('[').trim_end_matches(']');
        text.parse().map_or_else(|_| Self::Name(text.to_owned()), Self::Address)
    }
}

/// An open connection, before HTTP.
#[derive(Debug)]
pub enum Stream {
    /// Not secured.
    Plain(TokioIo<TcpStream>),
    /// Secured; the flag says whether HTTP/2 was agreed on.
    Tls(Box<TokioIo<TlsStream<TcpStream>>>, bool),
}

/// Makes connections.
#[derive(Debug, Clone)]
pub struct Connector {
    /// Names to addresses.
    pub resolver: Resolver,
    /// Which addresses may be connected to.
    pub policy: AddressPolicy,
    /// How hosts are found.
    pub locator: Arc<dyn Locate>,
    /// How hosts are trusted.
    pub tls: Arc<ClientConfig>,
}

impl Connector {
    /// A new connection to an origin; the caller bounds the whole time.
    pub async fn connect(&self, origin: &Origin) -> Result<Stream, OutboundError> {
        let tcp = self.connect_tcp(origin).await?;
        if !origin.is_tls {
            return Ok(Stream::Plain(TokioIo::new(tcp)));
        }
        let host = origin.host();
        let refuse = |why: String| OutboundError::Tls { host: host.to_owned(), why };
        let name = ServerName::try_from(host.to_owned()).map_err(|error| refuse(error.to_string()))?;
        let handshake = TlsConnector::from(self.tls.clone()).connect(name, tcp);
        let stream = timeout(CONNECT_TIME_MAX, handshake)
            .await
            .map_err(|_| OutboundError::Timeout(CONNECT_TIME_MAX))?
            .map_err(|error| refuse(error.to_string()))?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Stream::Tls(Box::new(TokioIo::new(stream)), is_http2))
    }

    /// A TCP connection to the first place that takes one.
    async fn connect_tcp(&self, origin: &Origin) -> Result<TcpStream, OutboundError> {
        let endpoints = self.locator.locate(&origin.authority, origin.is_tls).await?;
        let mut outcome = Err(OutboundError::Connect {
            host: origin.host().to_owned(),
            why: "there is no place to connect to".to_owned(),
        });
        for endpoint in endpoints.iter().take(ENDPOINTS_MAX) {
            outcome = self.connect_endpoint(endpoint).await;
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    async fn connect_endpoint(&self, endpoint: &Endpoint) -> Result<TcpStream, OutboundError> {
        let (shown, addresses) = match &endpoint.host {
            Host::Address(address) => (address.to_string(), [*address].into()),
            Host::Name(name) => {
                let found = self.resolver.addresses(name).await;
                (name.clone(), found.map_err(|source| OutboundError::Resolve { host: name.clone(), source })?)
            }
        };
        let allowed: Vec<_> = addresses
            .iter()
            .filter(|address| self.policy.allows(**address))
            .map(|address| SocketAddr::new(*address, endpoint.port))
            .collect();
        if allowed.is_empty() {
            return Err(OutboundError::NotAllowed(shown));
        }
        let attempt = connect_any(alternating(allowed));
        let stream = attempt.await.map_err(|why| OutboundError::Connect { host: shown, why })?;
        // Requests are written whole; waiting for more to send would only delay them.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }
}

/// The addresses with both families by turns, so that a broken one delays the other once only.
fn alternating(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let (v6, v4): (Vec<_>, Vec<_>) = addresses.into_iter().partition(SocketAddr::is_ipv6);
    let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
    let mut ordered = Vec::new();
    loop {
        let pair = (v6.next(), v4.next());
        if pair == (None, None) {
            ordered.truncate(ADDRESSES_MAX);
            return ordered;
        }
        ordered.extend(pair.0);
        ordered.extend(pair.1);
    }
}

/// The first connection that comes about (RFC 8305): each address gets a short head start over the next.
async fn connect_any(addresses: Vec<SocketAddr>) -> Result<TcpStream, String> {
    let mut attempts = JoinSet::new();
    let mut left = addresses.into_iter();
    let mut why = "there is no address".to_owned();
    loop {
        match left.next() {
            Some(address) => {
                attempts.spawn(async move {
                    match timeout(CONNECT_TIME_MAX, TcpStream::connect(address)).await {
                        Ok(outcome) => outcome.map_err(|error| error.to_string()),
                        Err(_) => Err(format!("no answer within {} s", CONNECT_TIME_MAX.as_secs())),
                    }
                });
            }
            None if attempts.is_empty() => return Err(why),
            None => {}
        }
        let is_last = left.len() == 0;
        loop {
            tokio::select! {
                ended = attempts.join_next() => match ended {
                    Some(Ok(Ok(stream))) => return Ok(stream),
                    Some(Ok(Err(error))) => why = error,
                    Some(Err(error)) => why = error.to_string(),
                    None => break,
                },
                () = sleep(NEXT_ADDRESS_DELAY), if !is_last => break,
            }
            if !is_last {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn families_take_turns() {
        let ordered = alternating(vec![
            socket("192.0.2.1:1"),
            socket("192.0.2.2:1"),
            socket("[2a00::1]:1"),
            socket("192.0.2.3:1"),
        ]);
        let expected = ["[2a00::1]:1", "192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"].map(socket);
        assert_eq!(ordered, expected);
    }

    #[tokio::test]
    async fn a_dead_address_does_not_keep_from_a_live_one() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let live = listener.local_addr().unwrap();
        let closed = {
            let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            taken.local_addr().unwrap()
        };
        assert_eq!(connect_any(vec![closed, live]).await.unwrap().peer_addr().unwrap(), live);
        assert!(connect_any(vec![closed]).await.is_err());
        assert!(connect_any(Vec::new()).await.is_err());
    }

    #[test]
    fn hosts_are_told_from_addresses() {
        let host = |text: &str| Host::of(&text.parse().unwrap());
        assert_eq!(host("[::1]:8448"), Host::Address("::1".parse().unwrap()));
        assert_eq!(host("192.0.2.1"), Host::Address("192.0.2.1".parse().unwrap()));
        assert_eq!(host("a.b:1"), Host::Name("a.b".to_owned()));
    }
}
