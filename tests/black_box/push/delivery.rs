//! Notifications reach the gateway, once it takes them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};

use super::{gateway, next, pusher, server, set};
use crate::harness::{Client, FakeWeb, Server, path_segment, unique};

/// A room of Alice's in which Bob is.
fn room(alice: &Client, bob: &Client) -> String {
    let body = json!({ "preset": "public_chat", "name": "Kitchen" });
    let room = alice.post("/_matrix/client/v3/createRoom", body).ok()["room_id"].as_str().unwrap().to_owned();
    bob.post(&format!("/_matrix/client/v3/join/{}", path_segment(&room)), json!({})).ok();
    room
}

fn say(client: &Client, room: &str, content: Value) -> String {
    let (room, transaction) = (path_segment(room), unique("t"));
    let path = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/{transaction}");
    client.put(&path, content).ok()["event_id"].as_str().unwrap().to_owned()
}

fn text(body: &str) -> Value {
    json!({ "msgtype": "m.text", "body": body })
}

fn read(client: &Client, room: &str, event: &str) {
    let path =
        format!("/_matrix/client/v3/rooms/{}/receipt/m.read/{}", path_segment(room), path_segment(event));
    client.post(&path, json!({})).ok();
}

#[test]
fn a_message_is_pushed_and_reading_it_lowers_the_count() {
    let (server, gateway) = (server(), gateway());
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = room(&alice, &bob);
    say(&alice, &room, text("from before the pusher"));
    set(&bob, &pusher(&gateway, "key"));
    let event = say(&alice, &room, text("hello"));
    let pushed = next(&gateway);
    assert_eq!(pushed["event_id"], event, "{pushed}");
    assert_eq!(pushed["room_id"], room);
    assert_eq!(pushed["sender"], alice.user_id);
    assert_eq!((&pushed["type"], &pushed["room_name"]), (&json!("m.room.message"), &json!("Kitchen")));
    assert_eq!(pushed["content"]["body"], "hello");
    assert_eq!(pushed["counts"], json!({ "unread": 1 }));
    let device = &pushed["devices"][0];
    assert_eq!((&device["app_id"], &device["pushkey"]), (&json!("test.app"), &json!("key")));
    assert_eq!(device["data"], json!({ "brand": "x" }), "the URL is for us only");
    read(&bob, &room, &event);
    let pushed = next(&gateway);
    assert_eq!(pushed["counts"], json!({ "unread": 0 }), "{pushed}");
    assert!(pushed.get("event_id").is_none());
    let name = bob.user_id.clone();
    let mention = json!({ "msgtype": "m.text", "body": "you", "m.mentions": { "user_ids": [name] } });
    say(&alice, &room, mention);
    let pushed = next(&gateway);
    assert_eq!(pushed["devices"][0]["tweaks"]["highlight"], true, "{pushed}");
    assert_eq!(pushed["prio"], "high");
}

#[test]
fn invites_are_pushed_and_notices_are_not() {
    let (server, gateway) = (server(), gateway());
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let first = room(&alice, &bob);
    let mut event_id_only = pusher(&gateway, "key");
    event_id_only["data"]["format"] = json!("event_id_only");
    set(&bob, &event_id_only);
    say(&alice, &first, json!({ "msgtype": "m.notice", "body": "a bot" }));
    say(&bob, &first, text("my own"));
    let invite = json!({ "invite": [bob.user_id], "preset": "private_chat" });
    let other = alice.post("/_matrix/client/v3/createRoom", invite).ok()["room_id"].clone();
    let pushed = next(&gateway);
    assert_eq!(pushed["room_id"], other, "{pushed}");
    assert_eq!(pushed["counts"]["unread"], 1);
    assert!(pushed.get("content").is_none() && pushed.get("sender").is_none(), "{pushed}");
}

/// A gateway that is out of order for its first requests.
fn shaky(failures: usize) -> (FakeWeb, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let gateway = FakeWeb::start(move |asked| {
        let is_push = asked.line.starts_with("POST");
        let fails = is_push && counted.fetch_add(1, Ordering::SeqCst) < failures;
        (if fails { 503 } else { 200 }, "application/json".to_owned(), b"{}".to_vec())
    });
    (gateway, count)
}

#[test]
fn what_a_gateway_did_not_take_is_sent_again() {
    let (gateway, _) = shaky(2);
    let server = server();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = room(&alice, &bob);
    set(&bob, &pusher(&gateway, "key"));
    let event = say(&alice, &room, text("hello"));
    for _ in 0..3 {
        assert_eq!(next(&gateway)["event_id"], event);
    }
    let second = say(&alice, &room, text("again"));
    assert_eq!(next(&gateway)["event_id"], second, "and only until it was taken");
}

#[test]
fn a_queue_survives_a_crash() {
    let (gateway, count) = shaky(usize::MAX);
    let mut server: Server = server();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = room(&alice, &bob);
    set(&bob, &pusher(&gateway, "key"));
    let event = say(&alice, &room, text("hello"));
    assert_eq!(next(&gateway)["event_id"], event);
    server.kill();
    while gateway.next_within(Duration::from_millis(200)).is_some() {}
    server.restart();
    assert_eq!(next(&gateway)["event_id"], event);
    assert!(count.load(Ordering::SeqCst) >= 2);
    server.stop();
    server.assert_check_finds_nothing();
}

#[test]
fn a_rejected_key_ends_its_pusher() {
    let gateway =
        FakeWeb::start(|_| (200, "application/json".to_owned(), br#"{"rejected":["gone"]}"#.to_vec()));
    let server = server();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = room(&alice, &bob);
    set(&bob, &pusher(&gateway, "gone"));
    set(&bob, &pusher(&gateway, "stays"));
    say(&alice, &room, text("hello"));
    next(&gateway);
    next(&gateway);
    let keys = || bob.get("/_matrix/client/v3/pushers").ok()["pushers"].clone();
    let until = std::time::Instant::now() + Duration::from_secs(30);
    while keys().as_array().unwrap().len() != 1 {
        assert!(std::time::Instant::now() < until, "the pusher stays: {}", keys());
    }
    assert_eq!(keys()[0]["pushkey"], "stays");
}
