//! The first sync.

use serde_json::json;

use crate::harness::{Client, Server, event_ids, find_state, path_segment};

#[test]
fn a_new_user_sees_an_empty_house() {
    let server = Server::start();
    let alice = server.register("alice");
    let sync = alice.sync(None, "");
    for part in ["join", "invite", "leave", "knock"] {
        let rooms = sync.body["rooms"][part].as_object();
        assert!(rooms.is_none_or(serde_json::Map::is_empty), "{}", sync.body);
    }
    let again = alice.sync(Some(sync.next_batch()), "");
    assert!(again.body["rooms"]["join"].as_object().is_none_or(serde_json::Map::is_empty));
    assert!(again.body["account_data"]["events"].as_array().is_none_or(Vec::is_empty), "{}", again.body);
}

#[test]
fn timeline_and_state_make_the_whole_room_without_overlap() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    alice.set_state(&room, "m.room.name", "", json!({ "name": "A Name" })).ok();
    for n in 0..30 {
        alice.send_text(&room, &format!("message {n}"));
    }
    let sync = bob.sync(None, &Client::filter_query(&json!({ "room": { "timeline": { "limit": 5 } } })));
    let timeline = sync.timeline(&room);
    assert_eq!(timeline.len(), 5);
    assert_eq!(timeline[4]["content"]["body"], "message 29");
    assert_eq!(sync.joined(&room)["timeline"]["limited"], true);
    let state = sync.state(&room);
    assert_eq!(find_state(&state, "m.room.name", "").unwrap()["content"]["name"], "A Name");
    for user in [&alice, &bob] {
        assert!(find_state(&state, "m.room.member", &user.user_id).is_some(), "{state:?}");
    }
    assert!(find_state(&state, "m.room.create", "").is_some());
    let inside = event_ids(&timeline);
    assert!(event_ids(&state).iter().all(|id| !inside.contains(id)));
    assert!(timeline[0]["room_id"].is_null(), "the room id stands outside: {}", timeline[0]);
}

#[test]
fn prev_batch_continues_exactly_where_the_timeline_starts() {
    let server = Server::start();
    let alice = server.register("alice");
    let room = alice.create_room(json!({}));
    for n in 0..20 {
        alice.send_text(&room, &format!("message {n}"));
    }
    let filter = Client::filter_query(&json!({ "room": { "timeline": { "limit": 8 } } }));
    let sync = alice.sync(None, &filter);
    let mut from_sync = event_ids(&sync.timeline(&room));
    let mut from = sync.joined(&room)["timeline"]["prev_batch"].as_str().unwrap().to_owned();
    loop {
        let page = alice.messages(&room, &format!("dir=b&limit=7&from={}", path_segment(&from))).ok();
        for id in event_ids(page["chunk"].as_array().unwrap()) {
            from_sync.insert(0, id);
        }
        match page["end"].as_str() {
            Some(end) => end.clone_into(&mut from),
            None => break,
        }
    }
    assert_eq!(from_sync, event_ids(&alice.all_messages(&room, 'f', 100)));
}

#[test]
fn left_rooms_come_only_when_asked_for() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    bob.leave(&room).ok();
    let sync = bob.sync(None, "");
    assert!(sync.joined(&room).is_null());
    assert!(sync.body["rooms"]["leave"][&room].is_null());
    let sync = bob.sync(None, &Client::filter_query(&json!({ "room": { "include_leave": true } })));
    let left = &sync.body["rooms"]["leave"][&room];
    let timeline = left["timeline"]["events"].as_array().unwrap();
    let last = timeline.last().unwrap();
    assert_eq!(last["content"]["membership"], "leave", "{left}");
}

#[test]
fn the_summary_names_the_heroes() {
    let server = Server::start();
    let (alice, bob, carol) = (server.register("alice"), server.register("bob"), server.register("carol"));
    let room = alice.create_room_with(&[&bob]);
    alice.moderate("invite", &room, &carol.user_id).ok();
    let filter = json!({ "room": { "state": { "lazy_load_members": true } } });
    let sync = alice.sync(None, &Client::filter_query(&filter));
    let summary = &sync.joined(&room)["summary"];
    assert_eq!(summary["m.joined_member_count"], 2, "{summary}");
    assert_eq!(summary["m.invited_member_count"], 1, "{summary}");
    let mut heroes: Vec<&str> =
        summary["m.heroes"].as_array().unwrap().iter().map(|hero| hero.as_str().unwrap()).collect();
    heroes.sort_unstable();
    let mut expected = [bob.user_id.as_str(), carol.user_id.as_str()];
    expected.sort_unstable();
    assert_eq!(heroes, expected);
}
