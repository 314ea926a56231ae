//! Simplified sliding sync (MSC4186) over HTTP.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::harness::{Answer, Client, Server, path_segment};

/// How long a poll may wait; a test that sees it run out has found a lost wake-up.
const POLL_MS: u64 = 20_000;

fn ask(client: &Client, pos: Option<&str>, timeout_ms: u64, body: &Value) -> Answer {
    let mut path =
        format!("/_matrix/client/unstable/org.matrix.simplified_msc3575/sync?timeout={timeout_ms}");
    if let Some(pos) = pos {
        path.push_str("&pos=");
        path.push_str(&path_segment(pos));
    }
    client.post(&path, body.clone())
}

fn pos(answer: &Value) -> &str {
    answer["pos"].as_str().expect("pos")
}

fn all_rooms() -> Value {
    json!({
        "conn_id": "room-list",
        "txn_id": "t1",
        "lists": {"all_rooms": {
            "ranges": [[0, 19]],
            "timeline_limit": 5,
            "required_state": [["m.room.create", ""], ["m.room.member", "$LAZY"], ["m.room.member", "$ME"]],
        }},
        "extensions": {
            "account_data": {"enabled": true},
            "typing": {"enabled": true},
            "receipts": {"enabled": true},
        },
    })
}

fn texts(room: &Value) -> Vec<&str> {
    let events = room["timeline"].as_array().into_iter().flatten();
    events.filter_map(|event| event["content"]["body"].as_str()).collect()
}

#[test]
fn a_client_follows_its_rooms() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    alice.send_text(&room, "one");
    let first = ask(&bob, None, POLL_MS, &all_rooms()).ok();
    assert_eq!((&first["txn_id"], &first["lists"]["all_rooms"]["count"]), (&json!("t1"), &json!(1)));
    let told = &first["rooms"][&room];
    assert_eq!((&told["initial"], texts(told).last()), (&json!(true), Some(&"one")));
    assert!(told["bump_stamp"].is_u64() && told["joined_count"] == 2);
    assert!(!first["extensions"]["account_data"]["global"].as_array().unwrap().is_empty());
    alice.send_text(&room, "two");
    let next = ask(&bob, Some(pos(&first)), POLL_MS, &all_rooms()).ok();
    assert_eq!(texts(&next["rooms"][&room]), ["two"]);
    let older = bob.messages(&room, &format!("dir=b&limit=1&from={}", path_segment(pos(&next)))).ok();
    assert_eq!(older["chunk"][0]["content"]["body"], "two", "a position is a place in the history");
}

#[test]
fn what_concerns_a_waiting_client_wakes_it() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    let mut answer = ask(&bob, None, 0, &all_rooms()).ok();
    let say = || drop(alice.send_text(&room, "news"));
    let invite = || {
        alice.create_room(json!({"invite": [bob.user_id]}));
    };
    let type_text = || {
        let path = Client::room_path(&room, &format!("typing/{}", path_segment(&alice.user_id)));
        alice.put(&path, json!({"typing": true, "timeout": 30_000})).ok();
    };
    let set_data = || {
        let path = format!("/_matrix/client/v3/user/{}/account_data/org.x", path_segment(&bob.user_id));
        bob.put(&path, json!({"n": 1})).ok();
    };
    let actions: [(&str, &dyn Fn(), &str); 4] = [
        ("a message", &say, "/rooms"),
        ("an invite", &invite, "/rooms"),
        ("typing", &type_text, "/extensions/typing"),
        ("account data", &set_data, "/extensions/account_data"),
    ];
    for (what, action, part) in actions {
        let start = Instant::now();
        let since = pos(&answer).to_owned();
        answer = thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let mut answer = ask(&bob, Some(&since), POLL_MS, &all_rooms()).ok();
                while answer.pointer(part).is_none_or(|part| part == &json!({})) {
                    assert!(start.elapsed() < Duration::from_millis(POLL_MS), "{what}: not told");
                    answer = ask(&bob, Some(pos(&answer)), POLL_MS, &all_rooms()).ok();
                }
                answer
            });
            action();
            waiting.join().unwrap()
        });
        assert!(start.elapsed() < Duration::from_millis(POLL_MS / 2), "{what}: woken only by the timeout");
    }
}

#[test]
fn nothing_new_waits_for_the_time_that_was_asked_for() {
    let server = Server::start();
    let alice = server.register("alice");
    let first = ask(&alice, None, POLL_MS, &all_rooms()).ok();
    let start = Instant::now();
    let none = ask(&alice, Some(pos(&first)), 300, &all_rooms()).ok();
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert_eq!((&none["rooms"], &none["extensions"]), (&json!({}), &json!({})));
    assert!(
        server.anonymous().get("/_matrix/client/versions").ok()["unstable_features"]["org.matrix.simplified_msc3575"]
            == true
    );
}

#[test]
fn positions_that_are_not_known_are_refused() {
    let mut server = Server::start();
    let alice = server.register("alice");
    let first = ask(&alice, None, 0, &all_rooms()).ok();
    ask(&alice, Some("s1_2-3-4"), 0, &all_rooms()).error(400, "M_UNKNOWN_POS");
    ask(&alice, Some("nonsense"), 0, &all_rooms()).error(400, "M_UNKNOWN_POS");
    ask(&alice.log_in_again(), Some(pos(&first)), 0, &all_rooms()).error(400, "M_UNKNOWN_POS");
    ask(&alice, Some(pos(&first)), 0, &all_rooms()).ok();
    server.stop();
    server.restart();
    let alice = alice.moved_to(server.base_url());
    ask(&alice, Some(pos(&first)), 0, &all_rooms()).error(400, "M_UNKNOWN_POS");
    ask(&alice, None, 0, &all_rooms()).ok();
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let server = Server::start();
    let alice = server.register("alice");
    ask(&server.anonymous(), None, 0, &all_rooms()).error(401, "M_MISSING_TOKEN");
    ask(&alice, None, 0, &json!({"lists": 1})).error(400, "M_BAD_JSON");
    let backward = json!({"lists": {"a": {"ranges": [[5, 1]], "timeline_limit": 1, "required_state": []}}});
    ask(&alice, None, 0, &backward).error(400, "M_INVALID_PARAM");
    let room = json!({"timeline_limit": 1, "required_state": []});
    let many: serde_json::Map<_, _> = (0..101).map(|n| (format!("!{n}:example.org"), room.clone())).collect();
    ask(&alice, None, 0, &json!({"room_subscriptions": many})).error(400, "M_INVALID_PARAM");
}

/// What Element X asks for on its second connection.
fn encryption(since: Option<&str>) -> Value {
    json!({"conn_id": "encryption", "extensions": {
        "to_device": {"enabled": true, "limit": 2, "since": since},
        "e2ee": {"enabled": true},
    }})
}

fn send_to_device(from: &Client, to: &Client, n: u64) {
    let path = format!("/_matrix/client/v3/sendToDevice/org.test/txn{n}");
    from.put(&path, json!({"messages": {&to.user_id: {&to.device_id: {"n": n}}}})).ok();
}

fn messages(answer: &Value) -> Vec<u64> {
    let events = answer["extensions"]["to_device"]["events"].as_array().expect("events");
    events.iter().map(|event| event["content"]["n"].as_u64().expect("n")).collect()
}

#[test]
fn messages_for_a_device_are_kept_until_they_have_arrived() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    (1..=3).for_each(|n| send_to_device(&alice, &bob, n));
    let first = ask(&bob, None, 0, &encryption(None)).ok();
    assert_eq!(messages(&first), [1, 2]);
    let e2ee = &first["extensions"]["e2ee"];
    assert_eq!(e2ee["device_one_time_keys_count"], json!({"signed_curve25519": 0}));
    assert_eq!(e2ee["device_unused_fallback_key_types"], json!([]));
    let token = |answer: &Value| answer["extensions"]["to_device"]["next_batch"].as_str().unwrap().to_owned();
    let again = ask(&bob, Some(pos(&first)), 0, &encryption(None)).ok();
    assert_eq!(messages(&again), [1, 2], "they were not said to have arrived");
    let rest = ask(&bob, Some(pos(&again)), 0, &encryption(Some(&token(&again)))).ok();
    assert_eq!(messages(&rest), [3]);
    let since = token(&rest);
    let start = Instant::now();
    let woken = thread::scope(|scope| {
        let waiting = scope.spawn(|| ask(&bob, Some(pos(&rest)), POLL_MS, &encryption(Some(&since))).ok());
        send_to_device(&alice, &bob, 4);
        waiting.join().unwrap()
    });
    assert_eq!(messages(&woken), [4]);
    assert!(start.elapsed() < Duration::from_millis(POLL_MS / 2), "woken only by the timeout");
    ask(&bob, None, 0, &encryption(Some("x"))).error(400, "M_INVALID_PARAM");
}

#[test]
fn who_comes_to_share_a_room_is_told_to_be_looked_at() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let first = ask(&bob, None, 0, &encryption(None)).ok();
    alice.create_room_with(&[&bob]);
    let next = ask(&bob, Some(pos(&first)), POLL_MS, &encryption(None)).ok();
    let changed =
        next["extensions"]["e2ee"]["device_lists"]["changed"].as_array().cloned().unwrap_or_default();
    assert!(changed.contains(&json!(alice.user_id)), "{next}");
}
