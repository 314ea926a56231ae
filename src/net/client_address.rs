//! Who a client is, by address: the peer of the connection, or whom a trusted proxy names.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr},
};

use axum::{extract::FromRequestParts, http::request::Parts};
use http::HeaderMap;

use super::limits::FORWARDED_HOPS_MAX;
use crate::config::AddressRange;

/// The header in which proxies name the client.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// What is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A TCP client.
    Address(IpAddr),
    /// A program on this machine, on a Unix socket: a reverse proxy.
    UnixSocket,
}

/// The address of the client that sent a request. Handlers take it as an extractor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// The client behind a connection from `peer`. `X-Forwarded-For` counts only as far as it was
    /// written by trusted proxies: it is read from the right, and the first address that is not a
    /// trusted proxy's is the client. What stands further left, the client may have made up.
    pub fn resolve(peer: Peer, headers: &HeaderMap, trusted: &[AddressRange]) -> Self {
        let is_trusted = |address: IpAddr| trusted.iter().any(|range| range.contains(address));
        let mut client = match peer {
            Peer::Address(address) => address.to_canonical(),
            Peer::UnixSocket => IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        if peer != Peer::UnixSocket && !is_trusted(client) {
            return Self(client);
        }
        for hop in forwarded_hops(headers).take(FORWARDED_HOPS_MAX) {
            // Not an address: nothing further left can be trusted either.
            let Some(address) = hop else { break };
            client = address;
            if !is_trusted(client) {
                break;
            }
        }
        Self(client)
    }
}

/// The addresses of all `X-Forwarded-For` headers, from the right; `None` for what is no address.
fn forwarded_hops(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    let values: Vec<_> = headers.get_all(FORWARDED_FOR).iter().collect();
    values.into_iter().rev().flat_map(|value| {
        let text = value.to_str().unwrap_or("not text");
        text.rsplit(',').map(|hop| parse_hop(hop.trim())).collect::<Vec<_>>()
    })
}

/// Reads an address, with or without a port.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let without_port = hop.parse::<std::net::SocketAddr>().map(|address| address.ip());
    let bare = hop.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    without_port.or(bare).ok().map(|address| address.to_canonical())
}

impl<S: Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    /// The address that the server's shell put into the request; a request that did not come through
    /// it (in a test) counts as local.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let local = Self(IpAddr::V4(Ipv4Addr::LOCALHOST));
        Ok(parts.extensions.get::<Self>().copied().unwrap_or(local))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(peer: Peer, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, value.parse().expect("a header value"));
        }
        ClientAddress::resolve(peer, &headers, &AddressRange::loopback()).0.to_string()
    }

    fn tcp(address: &str) -> Peer {
        Peer::Address(address.parse().expect("an address"))
    }

    #[test]
    fn a_stranger_cannot_choose_an_address() {
        assert_eq!(resolve(tcp("192.0.2.1"), &["203.0.113.9"]), "192.0.2.1");
    }

    #[test]
    fn a_trusted_proxy_names_the_client() {
        assert_eq!(resolve(tcp("127.0.0.1"), &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(resolve(tcp("::ffff:127.0.0.1"), &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(resolve(Peer::UnixSocket, &["2001:db8::1"]), "2001:db8::1");
    }

    #[test]
    fn only_the_rightmost_untrusted_address_counts() {
        assert_eq!(resolve(tcp("127.0.0.1"), &["1.1.1.1, 203.0.113.9, 127.0.0.2"]), "203.0.113.9");
        assert_eq!(resolve(tcp("127.0.0.1"), &["1.1.1.1", "203.0.113.9"]), "203.0.113.9");
    }

    #[test]
    fn what_is_no_address_ends_the_search() {
        assert_eq!(resolve(tcp("127.0.0.1"), &["203.0.113.9, unknown"]), "127.0.0.1");
        assert_eq!(resolve(tcp("127.0.0.1"), &["203.0.113.9, unknown, 127.0.0.3"]), "127.0.0.3");
    }

    #[test]
    fn ports_are_dropped() {
        assert_eq!(resolve(tcp("127.0.0.1"), &["203.0.113.9:5000"]), "203.0.113.9");
        assert_eq!(resolve(tcp("127.0.0.1"), &["[2001:db8::1]:5000"]), "2001:db8::1");
        assert_eq!(resolve(tcp("127.0.0.1"), &["[2001:db8::1]"]), "2001:db8::1");
    }

    #[test]
    fn without_the_header_it_is_the_peer() {
        assert_eq!(resolve(tcp("127.0.0.1"), &[]), "127.0.0.1");
        assert_eq!(resolve(Peer::UnixSocket, &[]), "127.0.0.1");
    }
}
