use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, body::Bytes, response::IntoResponse, routing::post};
use http::StatusCode;
use ruma::server_name;
use serde_json::json;

use super::*;
use crate::federation::testing::{Other, Own};

const CLAIM: &str = "/_matrix/federation/v1/user/keys/claim";

/// A server that is out of order so many times before it gives a key.
async fn server(own: &Own, failures: usize) -> Other {
    let asked = Arc::new(AtomicUsize::new(0));
    let answer = move |body: Bytes| async move {
        if asked.fetch_add(1, Ordering::SeqCst) < failures {
            return StatusCode::BAD_GATEWAY.into_response();
        }
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let users = body["one_time_keys"].as_object().unwrap();
        let keys = json!({"D": {"signed_curve25519:A": {"key": "k", "signatures": {}}}});
        let keys: serde_json::Map<_, _> = users.keys().map(|user| (user.clone(), keys.clone())).collect();
        let answer = json!({ "one_time_keys": keys }).to_string();
        ([("content-type", "application/json")], answer).into_response()
    };
    own.other(Router::new().route(CLAIM, post(answer))).await
}

fn keys(own: &Own) -> RemoteKeys {
    let devices = RemoteDevices::new(own.storage.clone(), server_name!("own.test").to_owned());
    RemoteKeys::new(own.client.clone(), devices)
}

fn claims(server: &Other) -> (OwnedUserId, KeyClaims) {
    let user = UserId::parse(format!("@a:{}", server.name)).unwrap();
    let of_devices = [("D".into(), "signed_curve25519".to_owned())].into();
    (user.clone(), KeyClaims::from([(user, of_devices)]))
}

#[tokio::test]
async fn a_server_that_is_away_for_a_moment_is_asked_again() {
    let own = Own::new();
    let other = server(&own, 2).await;
    let (user, claims) = claims(&other);
    let (claimed, failures) = keys(&own).claim(claims, Duration::from_secs(20)).await;
    assert!(claimed[&user].contains_key(<&ruma::DeviceId>::from("D")), "{claimed:?}");
    assert!(failures.is_empty());
    assert_eq!(other.asked().len(), 3);
}

#[tokio::test]
async fn a_server_that_has_been_away_for_long_holds_nobody_up() {
    let own = Own::new();
    let other = server(&own, usize::MAX).await;
    own.backoff.failed(&other.name, None);
    own.time.advance_ms(u64::try_from(limits::KEY_OUTAGE_WAITED_OUT.as_millis()).unwrap());
    let (_, claims) = claims(&other);
    let keys = keys(&own);
    let (claimed, failures) = keys.claim(claims.clone(), Duration::from_secs(20)).await;
    assert!(claimed.is_empty());
    assert_eq!(failures, [other.name.clone()].into());
    assert_eq!(other.asked().len(), 1, "its pause was over");
    keys.claim(claims, Duration::from_secs(20)).await;
    assert_eq!(other.asked().len(), 1, "and begins anew");
}
