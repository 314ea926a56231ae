//! Filters of `/sync`, inline.

use serde_json::{Value, json};

use crate::harness::{Client, Server, event_ids};

fn filter(room: Value) -> String {
    Client::filter_query(&json!({ "room": room }))
}

#[test]
fn types_and_senders_choose_the_timeline() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    let hers = alice.send_text(&room, "hers");
    let his = bob.send_text(&room, "his");
    alice.send(&room, "org.example.other", "t", json!({})).ok();
    let timeline = |part: Value| {
        let sync = alice.sync(None, &filter(json!({ "timeline": part })));
        event_ids(&sync.timeline(&room))
    };
    assert_eq!(timeline(json!({ "types": ["m.room.message"] })), [hers.as_str(), &his]);
    let by_bob = json!({ "senders": [bob.user_id], "types": ["m.room.mess*"] });
    assert_eq!(timeline(by_bob), [his.as_str()]);
    let not_bob = json!({ "not_senders": [bob.user_id], "types": ["m.room.message"] });
    assert_eq!(timeline(not_bob), [hers.as_str()]);
    assert_eq!(timeline(json!({ "not_types": ["*"] })), [""; 0]);
}

#[test]
fn rooms_are_chosen_and_left_out() {
    let server = Server::start();
    let alice = server.register("alice");
    let (one, two) = (alice.create_room(json!({})), alice.create_room(json!({})));
    let sync = alice.sync(None, &filter(json!({ "rooms": [one] })));
    assert!(!sync.joined(&one).is_null() && sync.joined(&two).is_null(), "{}", sync.body);
    let sync = alice.sync(None, &filter(json!({ "not_rooms": [one] })));
    assert!(sync.joined(&one).is_null() && !sync.joined(&two).is_null(), "{}", sync.body);
}

#[test]
fn state_ephemeral_and_account_data_have_their_filters() {
    let server = Server::start();
    let alice = server.register("alice");
    let room = alice.create_room(json!({ "name": "Name", "topic": "Topic" }));
    for n in 0..3 {
        alice.send_text(&room, &format!("{n}"));
    }
    let only_name = json!({ "state": { "types": ["m.room.name"] }, "timeline": { "limit": 1 } });
    let sync = alice.sync(None, &filter(only_name));
    let state = sync.state(&room);
    assert_eq!(state.len(), 1, "{state:?}");
    assert_eq!(state[0]["type"], "m.room.name");
    let none = json!({ "account_data": { "not_types": ["*"] } });
    let sync = alice.sync(None, &Client::filter_query(&none));
    let events = sync.body["account_data"]["events"].as_array();
    assert!(events.is_none_or(Vec::is_empty), "{}", sync.body);
}

#[test]
fn a_malformed_filter_is_refused() {
    let server = Server::start();
    let alice = server.register("alice");
    for filter in ["%7Bnonsense", "%7B%22room%22%3A7%7D"] {
        let answer = alice.get(&format!("/_matrix/client/v3/sync?timeout=0&filter={filter}"));
        assert_eq!(answer.status, 400, "{answer}");
        assert!(answer.errcode().is_some(), "{answer}");
    }
}
