//! Delegation against a real server on loopback that stands for all hosts.

use std::sync::Arc;

use axum::{Router, routing::get};
use http::{StatusCode, uri::Authority};
use ruma::server_name;

use super::Discovery;
use crate::{
    config::AddressRange,
    federation::testing::{Other, Own},
    net::outbound::{BoxFuture, Endpoint, Host, Locate, Outbound, OutboundError},
};

/// Finds every host at one place.
#[derive(Debug)]
struct Everywhere(u16);

impl Locate for Everywhere {
    fn locate<'a>(
        &'a self,
        _authority: &'a Authority,
        _is_tls: bool,
    ) -> BoxFuture<'a, Result<Vec<Endpoint>, OutboundError>> {
        let host = Host::Address("127.0.0.1".parse().unwrap());
        let endpoint = Endpoint { host, port: self.0 };
        Box::pin(std::future::ready(Ok(vec![endpoint])))
    }
}

/// Discovery where the host `localhost` answers for its well-known document as given.
async fn discovery(own: &Own, status: StatusCode, body: &'static str) -> (Discovery, Other) {
    let answer = get(move || async move { (status, body) });
    let other = own.other(Router::new().route("/.well-known/matrix/server", answer)).await;
    let locator = Arc::new(Everywhere(other.name.port().unwrap()));
    let outbound = Outbound::new(Some(&own.ca_file()), &AddressRange::loopback()).unwrap();
    (Discovery::new(outbound.located(locator)), other)
}

#[tokio::test]
async fn a_delegation_is_asked_for_once() {
    let own = Own::new();
    let (discovery, other) = discovery(&own, StatusCode::OK, r#"{"m.server":"matrix.test:443"}"#).await;
    let (first, second) =
        tokio::join!(discovery.host(server_name!("localhost")), discovery.host(server_name!("localhost")));
    assert_eq!((first.unwrap().as_str(), second.unwrap().as_str()), ("matrix.test:443", "matrix.test:443"));
    assert_eq!(discovery.host(server_name!("LOCALHOST")).await.unwrap(), "matrix.test:443");
    assert_eq!(other.asked(), ["GET /.well-known/matrix/server"]);
}

#[tokio::test]
async fn where_nothing_is_delegated_the_name_itself_counts() {
    let own = Own::new();
    for (status, body) in [
        (StatusCode::NOT_FOUND, r#"{"m.server":"matrix.test"}"#),
        (StatusCode::OK, "{}"),
        (StatusCode::OK, r#"{"m.server":"not a name"}"#),
        (StatusCode::BAD_GATEWAY, ""),
    ] {
        let (discovery, other) = discovery(&own, status, body).await;
        for _ in 0..2 {
            assert_eq!(discovery.host(server_name!("localhost")).await.unwrap(), "localhost", "{body}");
        }
        assert_eq!(other.asked().len(), 1, "failures are remembered");
    }
}

#[tokio::test]
async fn what_is_explicit_is_not_delegated() {
    let own = Own::new();
    let (discovery, other) = discovery(&own, StatusCode::OK, r#"{"m.server":"matrix.test"}"#).await;
    for name in ["localhost:8448", "192.0.2.1", "[2a00::1]", "192.0.2.1:1"] {
        assert_eq!(discovery.host(name.try_into().unwrap()).await.unwrap().as_str(), name);
    }
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn a_document_behind_a_private_address_is_not_asked_for() {
    let own = Own::new();
    let document = r#"{"m.server":"10.0.0.1:8448"}"#;
    let (delegating, other) = discovery(&own, StatusCode::OK, document).await;
    // The delegation itself may say so; connecting is refused (see the client's tests).
    assert_eq!(delegating.host(server_name!("localhost")).await.unwrap(), "10.0.0.1:8448");
    let strict = Outbound::new(Some(&own.ca_file()), &[]).unwrap();
    let strict = Discovery::new(strict.located(Arc::new(Everywhere(other.name.port().unwrap()))));
    assert_eq!(strict.host(server_name!("localhost")).await.unwrap(), "localhost");
    assert_eq!(other.asked().len(), 1);
}
