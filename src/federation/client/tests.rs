//! The client against real servers on loopback: what it sends, and what it makes of what comes back.

use std::time::Duration;

use axum::{Router, body::Bytes, routing::get};
use http::{Request, StatusCode, header::HeaderMap};
use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedServerName,
    api::federation::{
        authentication::XMatrix, discovery::get_server_version::v1 as version,
        query::get_profile_information::v1 as profile, transactions::send_transaction_message::v1 as send,
    },
    server_name, user_id,
};
use serde_json::json;

use super::{FederationError, SendOptions};
use crate::federation::testing::Own;

const PROFILE: &str = "/_matrix/federation/v1/query/profile";

fn profile_request() -> profile::Request {
    profile::Request::new(user_id!("@a:b.test").to_owned())
}

/// A server that answers each request for a profile with these bytes.
fn answering(status: StatusCode, body: impl Into<Bytes>) -> Router {
    let body = body.into();
    Router::new().route(PROFILE, get(move || async move { (status, body) }))
}

#[tokio::test]
async fn requests_are_signed_over_what_arrives() {
    let own = Own::new();
    let key = own.key.verify_key();
    let public = ruma::serde::Base64::new(key.as_bytes().to_vec());
    let keys: ruma::signatures::PublicKeyMap =
        [("own.test".to_owned(), [("ed25519:own".to_owned(), public)].into())].into();
    let check = move |request: Request<axum::body::Body>| {
        let keys = keys.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            let credentials = XMatrix::extract_from_http_headers(&parts.headers).unwrap();
            let destination = credentials.destination.clone().unwrap();
            credentials.verify_http_request(&Request::from_parts(parts, body), &destination, &keys).unwrap();
            json!({ "displayname": "A", "pdus": {} }).to_string()
        }
    };
    let other = own.other(Router::new().fallback(check)).await;
    let profile = own.client.send(&other.name, profile_request()).await.unwrap();
    assert_eq!(profile.get("displayname").unwrap(), "A");
    let transaction = send::Request::new(
        "1/ü?".into(),
        server_name!("own.test").to_owned(),
        MilliSecondsSinceUnixEpoch::now(),
    );
    own.client.send(&other.name, transaction).await.unwrap();
}

#[tokio::test]
async fn what_needs_no_signature_has_none() {
    let own = Own::new();
    let answer = |headers: HeaderMap| async move {
        assert!(!headers.contains_key("authorization"));
        json!({ "server": { "name": "other" } }).to_string()
    };
    let other = own.other(Router::new().route("/_matrix/federation/v1/version", get(answer))).await;
    let answer = own.client.send(&other.name, version::Request::new()).await.unwrap();
    assert_eq!(answer.server.unwrap().name.as_deref(), Some("other"));
}

#[tokio::test]
async fn an_error_of_the_server_is_passed_on_and_no_outage() {
    let own = Own::new();
    let body = r#"{"errcode":"M_NOT_FOUND","error":"no such user"}"#;
    let other = own.other(answering(StatusCode::NOT_FOUND, body)).await;
    own.backoff.failed(&other.name, None);
    let error =
        own.client.send_with(&other.name, profile_request(), SendOptions::default().insisting()).await;
    let error = error.map(drop).unwrap_err();
    assert_eq!(error.remote_errcode(), Some("M_NOT_FOUND"), "{error}");
    assert_eq!(own.backoff.until(&other.name), None, "it is seen alive");
}

#[tokio::test]
async fn a_server_that_is_out_is_left_alone_but_for_who_insists() {
    let own = Own::new();
    let other = own.other(answering(StatusCode::BAD_GATEWAY, "<html>")).await;
    let ask = || own.client.send(&other.name, profile_request());
    assert!(matches!(ask().await, Err(FederationError::Remote { .. })));
    assert!(matches!(ask().await, Err(FederationError::BackingOff { .. })));
    assert_eq!(other.asked().len(), 1, "it is not asked again");
    let insisting = SendOptions::default().insisting();
    let insisted = own.client.send_with(&other.name, profile_request(), insisting).await;
    assert!(matches!(insisted, Err(FederationError::Remote { .. })));
    own.time.advance_ms(60_000);
    assert!(matches!(ask().await, Err(FederationError::Remote { .. })));
    assert_eq!(other.asked().len(), 3);
}

#[tokio::test]
async fn a_question_asked_too_often_rests_alone() {
    let own = Own::new();
    let body = r#"{"errcode":"M_LIMIT_EXCEEDED","error":"slower","retry_after_ms":5000}"#;
    let answer = get(|| async { json!({ "server": { "name": "other" } }).to_string() });
    let router = answering(StatusCode::TOO_MANY_REQUESTS, body);
    let other = own.other(router.route("/_matrix/federation/v1/version", answer)).await;
    let ask = || own.client.send(&other.name, profile_request());
    let refused = ask().await.map(drop).unwrap_err();
    assert_eq!(refused.remote_errcode(), Some("M_LIMIT_EXCEEDED"));
    assert!(refused.is_throttled() && !refused.is_outage());
    assert!(matches!(ask().await, Err(FederationError::Throttled { .. })));
    assert_eq!(other.asked().len(), 1, "it is not asked again");
    assert_eq!(own.backoff.until(&other.name), None, "the server is there");
    own.client.send(&other.name, version::Request::new()).await.unwrap();
    own.time.advance_ms(5_000);
    assert!(matches!(ask().await, Err(FederationError::Remote { .. })));
    assert_eq!(other.asked().len(), 3);
}

#[tokio::test]
async fn nobody_at_home_is_an_outage() {
    let own = Own::new();
    let closed: OwnedServerName = {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        taken.local_addr().unwrap().to_string().try_into().unwrap()
    };
    let refused = own.client.send(&closed, profile_request()).await.map(drop);
    assert!(matches!(refused, Err(FederationError::Connect(_))), "{refused:?}");
    assert!(own.backoff.until(&closed).is_some());
}

#[tokio::test]
async fn answers_that_make_no_sense_are_refused() {
    let own = Own::new();
    for body in [&b"{"[..], b"\xff\xfe", b"[]", br#"{"displayname":"#, "[".repeat(5_000).leak().as_bytes()] {
        let other = own.other(answering(StatusCode::OK, body)).await;
        let outcome = own.client.send(&other.name, profile_request()).await.map(drop);
        assert!(matches!(outcome, Err(FederationError::BadAnswer(_))), "{body:?}: {outcome:?}");
    }
    let huge = own.other(answering(StatusCode::OK, vec![b'x'; 100_000])).await;
    let options = SendOptions { bytes_max: 10_000, ..SendOptions::default() };
    let outcome = own.client.send_with(&huge.name, profile_request(), options).await.map(drop);
    assert!(matches!(outcome, Err(FederationError::TooLarge)), "{outcome:?}");
    let moved = own
        .other(
            Router::new().route(
                PROFILE,
                get(|| async { (StatusCode::FOUND, [("location", "https://127.0.0.1:1/")]) }),
            ),
        )
        .await;
    let outcome = own.client.send(&moved.name, profile_request()).await.map(drop);
    assert!(matches!(outcome, Err(FederationError::BadAnswer(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_slow_answer_is_given_up_and_an_outage() {
    let own = Own::new();
    let silent = get(|| async {
        std::future::pending::<()>().await;
        "never"
    });
    let other = own.other(Router::new().route(PROFILE, silent)).await;
    let options = SendOptions { time_max: Duration::from_millis(200), ..SendOptions::default() };
    let outcome = own.client.send_with(&other.name, profile_request(), options).await.map(drop);
    assert!(matches!(outcome, Err(FederationError::Timeout(_))), "{outcome:?}");
    assert!(own.backoff.until(&other.name).is_some());
}

#[tokio::test]
async fn servers_that_the_operator_denies_are_not_asked() {
    let own = Own::configured(|config| {
        use crate::config::{Input, Setting};
        config.set(&["federation", "denied_servers"], Input::Text("127.0.0.1"), None).unwrap();
    });
    let other = own.other(answering(StatusCode::OK, "{}")).await;
    let outcome = own.client.send(&other.name, profile_request()).await.map(drop);
    assert!(matches!(outcome, Err(FederationError::NotAllowed)), "{outcome:?}");
    assert!(other.asked().is_empty());
    let outcome = own.client.send(server_name!("own.test"), profile_request()).await.map(drop);
    assert!(matches!(outcome, Err(FederationError::Local(_))), "{outcome:?}");
    // What the operator's network forbids is no outage of the server.
    let inner = own.client.send(server_name!("10.0.0.1"), profile_request()).await.map(drop);
    assert!(matches!(inner, Err(FederationError::NotAllowed)), "{inner:?}");
    assert!(own.backoff.failing().is_empty());
}

#[tokio::test]
async fn a_streamed_answer_keeps_within_its_bounds() {
    let own = Own::new();
    let other = own.other(answering(StatusCode::OK, vec![b'x'; 50_000])).await;
    let options = SendOptions { bytes_max: 60_000, ..SendOptions::default() };
    let mut body = own.client.stream(&other.name, profile_request(), options).await.unwrap().into_body();
    let mut length = 0;
    while let Some(data) = body.data().await.unwrap() {
        length += data.len();
    }
    assert_eq!(length, 50_000);
}
