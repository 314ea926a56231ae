//! Sending, and idempotency by transaction id.

use std::thread;

use serde_json::json;

use crate::harness::{Server, unique};

const MESSAGE: &str = "m.room.message";

#[test]
fn a_message_is_sent_and_read_as_it_was() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    let content = json!({
        "msgtype": "m.text", "body": "snow ☃, 漢字, \u{1F980}, \"quoted\" \\ \u{0000} end",
        "org.example.numbers": [0, -1, 9_007_199_254_740_991_i64, -9_007_199_254_740_991_i64],
        "org.example.nothing": null,
    });
    let txn_id = unique("txn");
    let sent = alice.send(&room, MESSAGE, &txn_id, content.clone()).ok();
    let event = bob.event(&room, sent["event_id"].as_str().unwrap()).ok();
    assert_eq!(event["content"], content);
    assert_eq!(event["sender"], alice.user_id);
    assert_eq!(event["type"], MESSAGE);
    assert_eq!(event["room_id"], room);
    assert!(event["origin_server_ts"].as_u64().unwrap() > 1_600_000_000_000, "{event}");
    assert!(event["state_key"].is_null(), "{event}");
    for internal in ["auth_events", "prev_events", "hashes", "signatures", "depth"] {
        assert!(event[internal].is_null(), "{internal} is the servers' business: {event}");
    }
    assert!(event["unsigned"]["transaction_id"].is_null(), "not for others: {event}");
    let own = alice.event(&room, sent["event_id"].as_str().unwrap()).ok();
    assert_eq!(own["unsigned"]["transaction_id"], txn_id);
}

#[test]
fn a_repeated_transaction_is_one_event() {
    let server = Server::start();
    let alice = server.register("alice");
    let tablet = alice.log_in_again();
    let room = alice.create_room(json!({}));
    let content = json!({ "msgtype": "m.text", "body": "once" });
    let first = alice.send(&room, MESSAGE, "m1", content.clone()).ok();
    let again = alice.send(&room, MESSAGE, "m1", content.clone()).ok();
    assert_eq!(first, again);
    let other_device = tablet.send(&room, MESSAGE, "m1", content.clone()).ok();
    assert_ne!(first, other_device, "another device's transaction is another one");
    let other_id = alice.send(&room, MESSAGE, "m2", content).ok();
    assert_ne!(first, other_id);
    assert_eq!(alice.all_texts(&room).len(), 3);
}

#[test]
fn concurrent_repeats_of_one_transaction_are_one_event() {
    let server = Server::start();
    let alice = server.register("alice");
    let room = alice.create_room(json!({}));
    let content = json!({ "msgtype": "m.text", "body": "once" });
    let ids: Vec<_> = thread::scope(|scope| {
        let send = || alice.send(&room, MESSAGE, "m1", content.clone()).ok()["event_id"].clone();
        let senders: Vec<_> = (0..8).map(|_| scope.spawn(send)).collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(alice.all_texts(&room), ["once"]);
}

#[test]
fn a_repeated_redaction_is_one_event() {
    let server = Server::start();
    let alice = server.register("alice");
    let room = alice.create_room(json!({}));
    let event = alice.send_text(&room, "x");
    let path = crate::harness::Client::room_path(
        &room,
        &format!("redact/{}/r1", crate::harness::path_segment(&event)),
    );
    assert_eq!(alice.put(&path, json!({})).ok(), alice.put(&path, json!({})).ok());
    let redactions = alice.all_messages(&room, 'b', 50);
    let count = redactions.iter().filter(|event| event["type"] == "m.room.redaction").count();
    assert_eq!(count, 1);
}

#[test]
fn power_levels_decide_who_sends_what() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room(json!({
        "preset": "public_chat",
        "power_level_content_override": { "events": { "org.example.special": 50 }, "events_default": 0 },
    }));
    bob.join(&room).ok();
    bob.send(&room, "org.example.special", "t1", json!({})).error(403, "M_FORBIDDEN");
    bob.send(&room, "org.example.plain", "t2", json!({})).ok();
    alice.send(&room, "org.example.special", "t3", json!({})).ok();
    bob.set_state(&room, "m.room.topic", "", json!({ "topic": "x" })).error(403, "M_FORBIDDEN");
    let mut levels = alice.state(&room, "m.room.power_levels", "").ok();
    levels["users"][&bob.user_id] = json!(50);
    bob.set_state(&room, "m.room.power_levels", "", levels.clone()).error(403, "M_FORBIDDEN");
    alice.set_state(&room, "m.room.power_levels", "", levels).ok();
    bob.send(&room, "org.example.special", "t4", json!({})).ok();
    bob.set_state(&room, "m.room.topic", "", json!({ "topic": "by Bob" })).ok();
}

#[test]
fn concurrent_senders_lose_nothing() {
    const SENDERS: usize = 6;
    const EACH: usize = 15;
    let server = Server::start();
    let alice = server.register("alice");
    let others: Vec<_> = (1..SENDERS).map(|n| server.register(&format!("user{n}"))).collect();
    let room = alice.create_room_with(&others.iter().collect::<Vec<_>>());
    thread::scope(|scope| {
        for (number, client) in std::iter::once(&alice).chain(&others).enumerate() {
            let room = &room;
            scope.spawn(move || {
                for n in 0..EACH {
                    client.send_text(room, &format!("{number}/{n}"));
                }
            });
        }
    });
    let texts = alice.all_texts(&room);
    assert_eq!(texts.len(), SENDERS * EACH);
    for number in 0..SENDERS {
        let prefix = format!("{number}/");
        let own: Vec<_> = texts.iter().filter(|text| text.starts_with(&prefix)).cloned().collect();
        let expected: Vec<_> = (0..EACH).map(|n| format!("{number}/{n}")).collect();
        assert_eq!(own, expected, "each sender's messages keep their order");
    }
}
