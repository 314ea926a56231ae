//! The key ring against real servers on loopback.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    routing::{get, post},
};
use bytes::Bytes;
use http::{HeaderMap, Method, header::AUTHORIZATION};
use ruma::{OwnedServerName, RoomVersionId, ServerName, server_name};
use serde_json::{Value, json, value::RawValue};

use super::{BadEvent, RequestRefusal, RequestToVerify};
use crate::{
    federation::testing::{Other, Own, START_MS, key_document},
    matrix::{
        Event, EventDraft, SigningKey, canonical_json,
        request_signing::SignedParts,
        room_versions,
        signing::{SignatureError, sign_json},
    },
};

const DAY_MS: u64 = 86_400_000;

fn signing_key(seed: u8) -> SigningKey {
    SigningKey::from_seed([seed; 32], &format!("k{seed}")).unwrap()
}

/// A server whose document of keys is what `document` makes of its name.
async fn server_with(own: &Own, document: impl Fn(&str) -> Value + Clone + Send + Sync + 'static) -> Other {
    // The name is known only once it listens, and comes in by the Host header.
    let answer = move |headers: HeaderMap, request: axum::extract::Request| {
        let by_uri = request.uri().authority().map(ToString::to_string);
        let host = by_uri.unwrap_or_else(|| headers["host"].to_str().unwrap().to_owned());
        let document = document(&host);
        async move { document.to_string() }
    };
    own.other(Router::new().route("/_matrix/key/v2/server", get(answer))).await
}

fn request(origin: &ServerName, key: &SigningKey, destination: &str, body: &str) -> RequestToVerify {
    let uri = "/_matrix/federation/v1/send/1";
    let destination = <&ServerName>::try_from(destination).unwrap();
    let parts = SignedParts { method: "PUT", uri, origin, destination, body: body.as_bytes() };
    let mut headers = HeaderMap::new();
    headers.append(AUTHORIZATION, parts.authorization(key).unwrap().parse().unwrap());
    RequestToVerify {
        method: Method::PUT,
        uri: uri.to_owned(),
        headers,
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

#[tokio::test]
async fn a_signed_request_is_believed_and_its_server_alive() {
    let own = Own::new();
    let key = signing_key(7);
    let signer = key.clone();
    let other = server_with(&own, move |name| key_document(name, &[&signer], &[], START_MS + DAY_MS)).await;
    // Although it failed lately, it is asked: it evidently is there.
    own.backoff.failed(&other.name, None);
    for _ in 0..3 {
        let origin = own.keys.verify_request(request(&other.name, &key, "own.test", r#"{"a":1}"#)).await;
        assert_eq!(origin.unwrap(), other.name);
    }
    assert_eq!(own.backoff.until(&other.name), None);
    assert_eq!(other.asked().len(), 1, "keys are fetched once");
}

#[tokio::test]
async fn requests_that_are_not_signed_for_us_are_refused() {
    let own = Own::new();
    let key = signing_key(7);
    let signer = key.clone();
    let other = server_with(&own, move |name| key_document(name, &[&signer], &[], START_MS + DAY_MS)).await;
    let verify = async |request| own.keys.verify_request(request).await.unwrap_err();
    let good = request(&other.name, &key, "own.test", "{}");

    let missing = RequestToVerify { headers: HeaderMap::new(), ..good.clone() };
    assert!(matches!(verify(missing).await, RequestRefusal::Missing));
    let mut odd = good.clone();
    odd.headers.insert(AUTHORIZATION, "X-Matrix origin=a".parse().unwrap());
    assert!(matches!(verify(odd).await, RequestRefusal::Malformed(_)));
    let elsewhere = request(&other.name, &key, "else.test", "{}");
    assert!(matches!(verify(elsewhere).await, RequestRefusal::WrongDestination(_)));
    let as_ourselves = request(server_name!("own.test"), &own.key, "own.test", "{}");
    assert!(matches!(verify(as_ourselves).await, RequestRefusal::NotAllowed(_)));
    let no_json = request(&other.name, &key, "own.test", "{}");
    let no_json = RequestToVerify { body: Bytes::from_static(b"{\"a\":\"\xff\"}"), ..no_json };
    assert!(matches!(verify(no_json).await, RequestRefusal::Body(_)));
    assert!(other.asked().is_empty(), "no keys are fetched for those");

    let other_body = RequestToVerify { body: Bytes::from_static(b"{\"b\":1}"), ..good.clone() };
    assert!(matches!(verify(other_body).await, RequestRefusal::WrongSignature(_)));
    let other_uri = RequestToVerify { uri: "/_matrix/federation/v1/send/2".to_owned(), ..good.clone() };
    assert!(matches!(verify(other_uri).await, RequestRefusal::WrongSignature(_)));
    let other_method = RequestToVerify { method: Method::POST, ..good.clone() };
    assert!(matches!(verify(other_method).await, RequestRefusal::WrongSignature(_)));
    for seed in 20..40 {
        let unknown = request(&other.name, &signing_key(seed), "own.test", "{}");
        assert!(matches!(verify(unknown).await, RequestRefusal::NoKey(_)));
    }
    assert_eq!(other.asked().len(), 1, "made-up keys don't make us ask each time");
}

#[tokio::test]
async fn old_and_expired_keys_sign_no_requests() {
    let own = Own::new();
    let (current, old) = (signing_key(7), signing_key(8));
    let keys = (current.clone(), old.clone());
    let other = server_with(&own, move |name| {
        key_document(name, &[&keys.0], &[(&keys.1, START_MS + DAY_MS)], START_MS + DAY_MS)
    })
    .await;
    let verify = async |key| own.keys.verify_request(request(&other.name, key, "own.test", "{}")).await;
    assert!(matches!(verify(&old).await, Err(RequestRefusal::NoKey(_))));
    assert!(verify(&current).await.is_ok());
    own.time.advance_ms(DAY_MS + 1);
    assert!(matches!(verify(&current).await, Err(RequestRefusal::NoKey(_))), "its document has expired");
}

/// An event of a user of `server` in a room of that version, signed with `key`.
fn event(version: &RoomVersionId, server: &ServerName, key: &SigningKey, at_ms: u64, body: &str) -> Value {
    let draft = EventDraft {
        sticky_ms: None,
        room_id: Some("!room:own.test".try_into().unwrap()),
        sender: format!("@a:{server}").try_into().unwrap(),
        event_type: "m.room.message".to_owned(),
        state_key: None,
        content: canonical_json::to_object(&json!({ "body": body })).unwrap(),
        redacts: None,
        origin_server_ts: at_ms,
        prev_events: Vec::new(),
        auth_events: Vec::new(),
        depth: 1,
    };
    let event = draft.build(&room_versions::rules(version).unwrap(), server, key).unwrap();
    serde_json::from_str(event.json()).unwrap()
}

fn raw(event: &Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(event).unwrap()
}

#[tokio::test]
async fn many_events_are_verified_in_their_order_with_one_fetch_a_server() {
    let own = Own::new();
    let key = signing_key(7);
    let signer = key.clone();
    let other = server_with(&own, move |name| key_document(name, &[&signer], &[], START_MS + DAY_MS)).await;
    let version = RoomVersionId::V11;
    let rules = room_versions::rules(&version).unwrap();
    let mut events: Vec<_> =
        (0..500).map(|n| event(&version, &other.name, &key, START_MS, &n.to_string())).collect();
    events[100]["signatures"][other.name.as_str()][key.key_id()] = json!("AAAA");
    events[200]["content"]["body"] = json!("changed");
    events[300] = json!({ "type": "m.room.message" });
    events[400] = event(&version, &other.name, &signing_key(9), START_MS, "unknown key");
    let outcomes = own.keys.verify_events(events.iter().map(raw).collect(), &rules).await;
    assert_eq!((outcomes.len(), other.asked().len()), (500, 1));
    for (number, outcome) in outcomes.iter().enumerate() {
        match (number, outcome) {
            (100, Err(BadEvent::Signature { source: SignatureError::Wrong { .. }, .. }))
            | (300, Err(BadEvent::Format(_)))
            | (400, Err(BadEvent::Signature { source: SignatureError::NoKnownKey(_), .. })) => {}
            (200, Ok(event)) => assert_eq!(event.content_json(), "{}", "redacted"),
            (_, Ok(event)) => {
                assert_eq!(event.content_field::<String>("body"), Some(number.to_string()));
            }
            (_, Err(error)) => panic!("{number}: {error}"),
        }
    }
}

#[tokio::test]
async fn the_time_of_an_event_counts_in_newer_rooms_only() {
    let own = Own::new();
    let (current, old) = (signing_key(7), signing_key(8));
    let keys = (current.clone(), old.clone());
    let other = server_with(&own, move |name| {
        key_document(name, &[&keys.0], &[(&keys.1, START_MS - DAY_MS)], START_MS + DAY_MS)
    })
    .await;
    for (version, key, at_ms, is_good) in [
        (RoomVersionId::V11, &old, START_MS - 2 * DAY_MS, true),
        (RoomVersionId::V11, &old, START_MS, false),
        (RoomVersionId::V11, &current, START_MS, true),
        (RoomVersionId::V11, &current, START_MS + 2 * DAY_MS, false),
        (RoomVersionId::V4, &old, START_MS, true),
        (RoomVersionId::V4, &current, START_MS + 400 * DAY_MS, true),
    ] {
        let rules = room_versions::rules(&version).unwrap();
        let event = event(&version, &other.name, key, at_ms, "x");
        let outcome = own.keys.verify_event(raw(&event), &rules).await;
        assert_eq!(outcome.is_ok(), is_good, "{version} {} {at_ms}: {outcome:?}", key.key_id());
    }
}

#[tokio::test]
async fn no_key_counts_for_longer_than_a_week_ahead() {
    let own = Own::new();
    let key = signing_key(7);
    let signer = key.clone();
    let other =
        server_with(&own, move |name| key_document(name, &[&signer], &[], START_MS + 999 * DAY_MS)).await;
    let rules = room_versions::rules(&RoomVersionId::V11).unwrap();
    for (days, is_good) in [(6, true), (8, false)] {
        let event = event(&RoomVersionId::V11, &other.name, &key, START_MS + days * DAY_MS, "x");
        assert_eq!(own.keys.verify_event(raw(&event), &rules).await.is_ok(), is_good, "{days}");
    }
}

/// Makes a document wrong.
type Change = fn(Value, &SigningKey) -> Value;

#[tokio::test]
async fn documents_that_are_not_right_give_no_keys() {
    let own = Own::new();
    let (key, thief) = (signing_key(7), signing_key(8));
    let changes: [Change; 4] = [
        |mut document, _| {
            document["signatures"] = json!({});
            document
        },
        |mut document, _| {
            document["valid_until_ts"] = json!(START_MS + 2 * DAY_MS);
            document
        },
        |_, key| key_document("other.test", &[key], &[], START_MS + DAY_MS),
        |_, _| json!([1]),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let (signer, thief) = (key.clone(), thief.clone());
        let other = server_with(&own, move |name| {
            change(key_document(name, &[&signer], &[], START_MS + DAY_MS), &thief)
        })
        .await;
        let refused = own.keys.verify_request(request(&other.name, &key, "own.test", "{}")).await;
        assert!(matches!(refused, Err(RequestRefusal::NoKey(_))), "{number}: {refused:?}");
    }
}

/// A notary that knows the documents given, as they were signed by their servers.
async fn notary(own: &Own, documents: Vec<Value>, signs: bool) -> (Other, Arc<Mutex<Vec<Value>>>) {
    let key = signing_key(50);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (noted, own_key) = (asked.clone(), key.clone());
    let name_of = |headers: &HeaderMap, uri: &http::Uri| {
        let by_uri = uri.authority().map(ToString::to_string);
        by_uri.unwrap_or_else(|| headers["host"].to_str().unwrap().to_owned())
    };
    let own_document = move |headers: HeaderMap, uri: http::Uri| {
        let name = name_of(&headers, &uri);
        let document = key_document(&name, &[&own_key], &[], START_MS + DAY_MS);
        async move { document.to_string() }
    };
    let query = move |headers: HeaderMap, uri: http::Uri, body: String| {
        noted.lock().unwrap().push(serde_json::from_str(&body).unwrap());
        let name = name_of(&headers, &uri);
        let signed = documents.iter().map(|document| {
            let mut object = canonical_json::to_object(document).unwrap();
            if signs {
                sign_json(&mut object, &name, &key).unwrap();
            }
            serde_json::to_value(object).unwrap()
        });
        let answer = json!({ "server_keys": signed.collect::<Vec<_>>() });
        async move { answer.to_string() }
    };
    let router = Router::new()
        .route("/_matrix/key/v2/server", get(own_document))
        .route("/_matrix/key/v2/query", post(query));
    (own.other(router).await, asked)
}

/// The name of a server that does not answer.
fn dead_server() -> OwnedServerName {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    taken.local_addr().unwrap().to_string().try_into().unwrap()
}

#[tokio::test]
async fn notaries_know_the_keys_of_dead_servers() {
    for signs in [true, false] {
        let dead = dead_server();
        let key = signing_key(7);
        // A document that expired long ago still proves old events.
        let document = key_document(dead.as_str(), &[&key], &[], START_MS - 100 * DAY_MS);
        let helper = Own::new();
        let unasked = key_document("unasked.test", &[&key], &[], START_MS);
        let (notary, asked) = notary(&helper, vec![document, unasked], signs).await;
        let own = helper.trusting(&notary.name);
        let rules = room_versions::rules(&RoomVersionId::V11).unwrap();
        let event = event(&RoomVersionId::V11, &dead, &key, START_MS - 200 * DAY_MS, "x");
        let outcomes = own.keys.verify_events(vec![raw(&event), raw(&event)], &rules).await;
        assert!(outcomes.iter().all(|outcome| outcome.is_ok() == signs), "{signs}: {outcomes:?}");
        assert_eq!(asked.lock().unwrap().len(), 1);
        let unasked = server_name!("unasked.test").to_owned();
        assert!(own.keys.0.store.keys(vec![unasked]).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn as_a_notary_we_sign_what_we_fetched() {
    let own = Own::new();
    let key = signing_key(7);
    let signer = key.clone();
    let other = server_with(&own, move |name| key_document(name, &[&signer], &[], START_MS + DAY_MS)).await;
    let (dead, now) = (dead_server(), super::timestamp(START_MS));
    let servers = [&other.name, &dead, &server_name!("own.test").to_owned()].map(|name| (name.clone(), now));
    let documents = own.keys.notarised(servers.into()).await.unwrap();
    let documents: Vec<Value> =
        documents.iter().map(|document| serde_json::from_str(document.json().get()).unwrap()).collect();
    assert_eq!(documents.len(), 2, "the dead one's can't be had");
    let theirs = documents.iter().find(|document| document["server_name"] == other.name.as_str()).unwrap();
    assert!(theirs["signatures"][other.name.as_str()][key.key_id()].is_string());
    assert!(theirs["signatures"]["own.test"]["ed25519:own"].is_string());
    let ours = documents.iter().find(|document| document["server_name"] == "own.test").unwrap();
    assert_eq!(ours["verify_keys"]["ed25519:own"]["key"], own.key.public_key_base64());
    super::document::KeyDocument::check(&ours.to_string(), START_MS).unwrap();

    // A second time it is known.
    own.keys.notarised([(other.name.clone(), now)].into()).await.unwrap();
    assert_eq!(other.asked().len(), 1);
}

#[tokio::test]
async fn keys_outlive_a_restart_and_our_own_events_need_none() {
    let own = Own::new();
    let key = signing_key(7);
    let signer = key.clone();
    let other = server_with(&own, move |name| key_document(name, &[&signer], &[], START_MS + DAY_MS)).await;
    let rules = room_versions::rules(&RoomVersionId::V11).unwrap();
    let theirs = event(&RoomVersionId::V11, &other.name, &key, START_MS, "x");
    own.keys.verify_event(raw(&theirs), &rules).await.unwrap();
    let again = super::known::KeyStore::new(own.storage.clone());
    assert_eq!(again.keys(vec![other.name.clone()]).await.unwrap().len(), 1);

    let ours = event(&RoomVersionId::V11, server_name!("own.test"), &own.key, START_MS, "x");
    let verified: Event = own.keys.verify_event(raw(&ours), &rules).await.unwrap();
    assert_eq!(verified.sender().server_name(), "own.test");
}
