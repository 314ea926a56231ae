//! Room state: reading and setting.

use serde_json::{Value, json};

use crate::harness::{Client, Server, find_state};

#[test]
fn state_is_set_read_and_replaced() {
    let server = Server::start();
    let alice = server.register("alice");
    let room = alice.create_room(json!({}));
    alice.state(&room, "org.example.custom", "").error(404, "M_NOT_FOUND");
    let first = alice.set_state(&room, "org.example.custom", "", json!({ "n": 1 })).ok();
    alice.set_state(&room, "org.example.custom", "a/b c", json!({ "n": 2 })).ok();
    let third = alice.set_state(&room, "org.example.custom", "", json!({ "n": 3 })).ok();
    assert_ne!(first, third);
    assert_eq!(alice.state(&room, "org.example.custom", "").ok(), json!({ "n": 3 }));
    assert_eq!(alice.state(&room, "org.example.custom", "a/b c").ok(), json!({ "n": 2 }));
    let short_path = Client::room_path(&room, "state/org.example.custom");
    assert_eq!(alice.get(&short_path).ok(), json!({ "n": 3 }), "an empty key may be left out");
    alice.put(&short_path, json!({ "n": 4 })).ok();
    let whole = alice.get(&format!("{short_path}?format=event")).ok();
    assert_eq!(whole["content"], json!({ "n": 4 }));
    assert_eq!(whole["sender"], alice.user_id);
    assert_eq!(whole["state_key"], "");
}

#[test]
fn the_whole_state_has_each_entry_once() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    alice.set_state(&room, "m.room.name", "", json!({ "name": "one" })).ok();
    alice.set_state(&room, "m.room.name", "", json!({ "name": "two" })).ok();
    let state = alice.get(&Client::room_path(&room, "state")).ok().as_array().unwrap().clone();
    let mut keys: Vec<(String, String)> =
        state.iter().map(|event| (event["type"].to_string(), event["state_key"].to_string())).collect();
    let all = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), all, "{keys:?}");
    assert_eq!(find_state(&state, "m.room.name", "").unwrap()["content"]["name"], "two");
    for user in [&alice, &bob] {
        let member = find_state(&state, "m.room.member", &user.user_id).unwrap();
        assert_eq!(member["content"]["membership"], "join");
    }
    let names = |event: &&Value| event["type"] == "m.room.create";
    assert_eq!(state.iter().filter(names).count(), 1);
}

#[test]
fn a_replaced_state_event_shows_the_former_content() {
    let server = Server::start();
    let alice = server.register("alice");
    let room = alice.create_room(json!({}));
    alice.set_state(&room, "m.room.topic", "", json!({ "topic": "old" })).ok();
    let new = alice.set_state(&room, "m.room.topic", "", json!({ "topic": "new" })).ok();
    let event = alice.sync(None, "").timeline(&room).pop().unwrap();
    assert_eq!(event["event_id"], new["event_id"]);
    assert_eq!(event["unsigned"]["prev_content"]["topic"], "old", "{event}");
}

#[test]
fn keys_of_other_users_and_the_past_of_leavers_are_guarded() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room(json!({
        "preset": "public_chat", "power_level_content_override": { "state_default": 0 },
    }));
    bob.join(&room).ok();
    let answer = bob.set_state(&room, "org.example.mine", &alice.user_id, json!({}));
    answer.error(403, "M_FORBIDDEN");
    bob.set_state(&room, "org.example.mine", &bob.user_id, json!({})).ok();
    alice.set_state(&room, "m.room.topic", "", json!({ "topic": "while Bob is here" })).ok();
    bob.leave(&room).ok();
    alice.set_state(&room, "m.room.topic", "", json!({ "topic": "after Bob" })).ok();
    let seen = bob.state(&room, "m.room.topic", "").ok();
    assert_eq!(seen["topic"], "while Bob is here", "who left sees the state at the leaving");
}

#[test]
fn create_is_final() {
    let server = Server::start();
    let alice = server.register("alice");
    let room = alice.create_room(json!({}));
    let answer = alice.set_state(&room, "m.room.create", "", json!({ "room_version": "12" }));
    assert!((400..=403).contains(&answer.status), "{answer}");
    assert!(answer.errcode().is_some(), "{answer}");
}
