//! Syncs from a token.

use serde_json::json;

use crate::harness::{Client, Server, event_ids, find_state, path_segment};

#[test]
fn each_event_comes_once_and_in_order() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    let mut since = bob.sync(None, "").next_batch().to_owned();
    let (mut sent, mut seen) = (Vec::new(), Vec::new());
    for round in 0..6 {
        for n in 0..round {
            sent.push(alice.send_text(&room, &format!("{round}/{n}")));
        }
        let sync = bob.sync(Some(&since), "");
        seen.extend(event_ids(&sync.timeline(&room)));
        assert_eq!(sync.joined(&room).is_null(), round == 0, "a room without news is left out");
        assert!(sync.state(&room).is_empty(), "{}", sync.body);
        sync.next_batch().clone_into(&mut since);
    }
    assert_eq!(seen, sent);
}

#[test]
fn a_token_can_be_used_again() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    let since = bob.sync(None, "").next_batch().to_owned();
    let sent = alice.send_text(&room, "one");
    for _ in 0..2 {
        assert_eq!(event_ids(&bob.sync(Some(&since), "").timeline(&room)), [sent.as_str()]);
    }
}

#[test]
fn only_the_rooms_that_changed_come() {
    let server = Server::start();
    let alice = server.register("alice");
    let rooms: Vec<String> = (0..5).map(|_| alice.create_room(json!({}))).collect();
    let since = alice.sync(None, "").next_batch().to_owned();
    alice.send_text(&rooms[2], "news");
    let sync = alice.sync(Some(&since), "");
    let changed: Vec<&String> = sync.body["rooms"]["join"].as_object().unwrap().keys().collect();
    assert_eq!(changed, [&rooms[2]]);
}

#[test]
fn a_gap_is_limited_and_filled_by_messages() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    let since = bob.sync(None, "").next_batch().to_owned();
    let mut sent: Vec<String> = (0..10).map(|n| alice.send_text(&room, &format!("early {n}"))).collect();
    let topic = alice.set_state(&room, "m.room.topic", "", json!({ "topic": "in the gap" })).ok();
    sent.push(topic["event_id"].as_str().unwrap().to_owned());
    sent.extend((0..10).map(|n| alice.send_text(&room, &format!("late {n}"))));
    let filter = Client::filter_query(&json!({ "room": { "timeline": { "limit": 4 } } }));
    let sync = bob.sync(Some(&since), &filter);
    let part = sync.joined(&room);
    assert_eq!(part["timeline"]["limited"], true);
    assert_eq!(event_ids(&sync.timeline(&room)), sent[17..]);
    let state = sync.state(&room);
    let topic = find_state(&state, "m.room.topic", "").expect("state set inside the gap");
    assert_eq!(topic["content"]["topic"], "in the gap");
    assert_eq!(state.len(), 1, "nothing that did not change: {state:?}");
    let prev_batch = path_segment(part["timeline"]["prev_batch"].as_str().unwrap());
    let to = path_segment(&since);
    let gap = bob.messages(&room, &format!("dir=b&limit=100&from={prev_batch}&to={to}")).ok();
    let mut gap = event_ids(gap["chunk"].as_array().unwrap());
    gap.reverse();
    assert_eq!(gap, sent[..17]);
}

#[test]
fn a_short_answer_is_not_limited() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    let since = bob.sync(None, "").next_batch().to_owned();
    for n in 0..4 {
        alice.send_text(&room, &format!("{n}"));
    }
    let filter = Client::filter_query(&json!({ "room": { "timeline": { "limit": 4 } } }));
    let sync = bob.sync(Some(&since), &filter);
    assert_eq!(sync.timeline(&room).len(), 4);
    assert_ne!(sync.joined(&room)["timeline"]["limited"], true);
}

#[test]
fn a_newly_joined_room_comes_whole() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room(json!({ "preset": "public_chat", "name": "Fresh" }));
    alice.send_text(&room, "before");
    let since = bob.sync(None, "").next_batch().to_owned();
    bob.join(&room).ok();
    let sync = bob.sync_until(&since, |sync| !sync.joined(&room).is_null());
    let mut all = sync.state(&room);
    all.extend(sync.timeline(&room));
    assert!(find_state(&all, "m.room.create", "").is_some(), "{all:?}");
    assert_eq!(find_state(&all, "m.room.name", "").unwrap()["content"]["name"], "Fresh");
    assert!(find_state(&all, "m.room.member", &alice.user_id).is_some());
    assert!(find_state(&sync.timeline(&room), "m.room.member", &bob.user_id).is_some());
}

#[test]
fn leaving_kick_and_ban_end_a_room() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    let mut since = bob.sync(None, "").next_batch().to_owned();
    for action in ["leave", "kick", "ban"] {
        if action == "leave" {
            bob.leave(&room).ok();
        } else {
            alice.moderate(action, &room, &bob.user_id).ok();
        }
        let sync = bob.sync_until(&since, |sync| !sync.body["rooms"]["leave"][&room].is_null());
        let timeline = sync.body["rooms"]["leave"][&room]["timeline"]["events"].as_array().unwrap().clone();
        let member = find_state(&timeline, "m.room.member", &bob.user_id).unwrap();
        let expected = if action == "ban" { "ban" } else { "leave" };
        assert_eq!(member["content"]["membership"], expected, "{action}");
        assert!(sync.joined(&room).is_null(), "{action}");
        alice.send_text(&room, "behind his back");
        let quiet = bob.sync(Some(sync.next_batch()), "");
        assert!(!quiet.body.to_string().contains("behind his back"), "{action}: {}", quiet.body);
        if action != "ban" {
            bob.join(&room).ok();
        }
        bob.sync(Some(quiet.next_batch()), "").next_batch().clone_into(&mut since);
    }
}

#[test]
fn own_events_carry_their_transaction_id() {
    let server = Server::start();
    let alice = server.register("alice");
    let tablet = alice.log_in_again();
    let room = alice.create_room(json!({}));
    let since = alice.sync(None, "").next_batch().to_owned();
    alice.send(&room, "m.room.message", "my-txn", json!({ "msgtype": "m.text", "body": "x" })).ok();
    let own = alice.sync(Some(&since), "").timeline(&room);
    assert_eq!(own[0]["unsigned"]["transaction_id"], "my-txn", "{own:?}");
    let other = tablet.sync(Some(&since), "").timeline(&room);
    assert!(other[0]["unsigned"]["transaction_id"].is_null(), "{other:?}");
}

#[test]
fn nonsense_tokens_are_refused() {
    let server = Server::start();
    let alice = server.register("alice");
    for token in ["nonsense", "-1", "%00"] {
        let answer = alice.get(&format!("/_matrix/client/v3/sync?timeout=0&since={token}"));
        assert_eq!(answer.status, 400, "{answer}");
        assert!(answer.errcode().is_some(), "{answer}");
    }
}

#[test]
fn full_state_brings_everything_again() {
    let server = Server::start();
    let alice = server.register("alice");
    let room = alice.create_room(json!({ "name": "Full" }));
    let since = alice.sync(None, "").next_batch().to_owned();
    let sync = alice.sync(Some(&since), "full_state=true");
    let state = sync.state(&room);
    assert!(find_state(&state, "m.room.name", "").is_some(), "{}", sync.body);
    assert!(find_state(&state, "m.room.create", "").is_some(), "{}", sync.body);
    assert!(find_state(&state, "m.room.member", &alice.user_id).is_some(), "{}", sync.body);
}
