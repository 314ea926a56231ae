//! History from before a server came into a room, told by those that were there.

use serde_json::{Value, json};

use crate::harness::{Client, Federation, path_segment};

fn join_via(client: &Client, room: &str, via: &str) {
    let path = format!("/_matrix/client/v3/join/{}?via={}", path_segment(room), path_segment(via));
    client.post(&path, json!({})).ok();
}

fn page(client: &Client, room: &str, from: Option<&str>, limit: usize) -> Value {
    let from = from.map(|from| format!("&from={from}")).unwrap_or_default();
    client
        .get(&format!("/_matrix/client/v3/rooms/{}/messages?dir=b&limit={limit}{from}", path_segment(room)))
        .ok()
}

/// Everything that paging back shows, newest first.
fn all_back(client: &Client, room: &str, limit: usize) -> Vec<Value> {
    let (mut events, mut from) = (Vec::new(), None);
    for _ in 0..60 {
        let page = page(client, room, from.as_deref(), limit);
        events.extend(page["chunk"].as_array().unwrap().iter().cloned());
        match page["end"].as_str() {
            Some(end) => from = Some(end.to_owned()),
            None => return events,
        }
    }
    panic!("paging back never ends: {} events", events.len());
}

fn ids(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event_id"].as_str().unwrap()).collect()
}

#[test]
fn who_joins_late_pages_back_to_the_beginning() {
    let federation = Federation::pair();
    let (alice, bob) = (federation.register(0, "alice"), federation.register(1, "bob"));
    for (version, limit) in [("1", 10), ("10", 100), ("12", 7)] {
        let room = alice.create_room(json!({ "preset": "public_chat", "room_version": version }));
        for number in 0..130 {
            alice.send_text(&room, &format!("number {number}"));
            if number % 40 == 0 {
                let topic = json!({ "topic": format!("topic {number}") });
                alice.set_state(&room, "m.room.topic", "", topic).ok();
            }
        }
        join_via(&bob, &room, &federation.server(0).name);
        let (theirs, ours) = (all_back(&alice, &room, limit), all_back(&bob, &room, limit));
        assert_eq!(ids(&ours), ids(&theirs), "{version}");
        assert_eq!(ours.last().unwrap()["type"], "m.room.create", "{version}");
        // It has come to stay: it is the same in one piece.
        assert_eq!(ids(&all_back(&bob, &room, 1000)), ids(&theirs), "{version}");
    }
}

#[test]
fn a_full_page_at_the_end_of_what_is_known_leads_on() {
    let federation = Federation::pair();
    let (alice, bob) = (federation.register(0, "alice"), federation.register(1, "bob"));
    let room = alice.create_room(json!({ "preset": "public_chat" }));
    alice.send_text(&room, "before");
    join_via(&bob, &room, &federation.server(0).name);
    let first = page(&bob, &room, None, 1);
    assert_eq!(first["chunk"][0]["type"], "m.room.member");
    let second = page(&bob, &room, first["end"].as_str(), 1);
    assert_eq!(second["chunk"][0]["content"]["body"], "before");
}

#[test]
fn the_surroundings_of_the_join_are_fetched() {
    let federation = Federation::pair();
    let (alice, bob) = (federation.register(0, "alice"), federation.register(1, "bob"));
    let room = alice.create_room(json!({ "preset": "public_chat" }));
    let before = alice.send_text(&room, "before");
    join_via(&bob, &room, &federation.server(0).name);
    let own = page(&bob, &room, None, 1)["chunk"][0]["event_id"].as_str().unwrap().to_owned();
    let path = format!("/_matrix/client/v3/rooms/{}/context/{}?limit=4", path_segment(&room), own);
    let context = bob.get(&path).ok();
    assert_eq!(context["events_before"][0]["event_id"], before.as_str());
    assert_eq!(context["events_before"].as_array().unwrap().len(), 2);
}

#[test]
fn a_time_before_the_join_leads_into_history() {
    let federation = Federation::pair();
    let (alice, bob) = (federation.register(0, "alice"), federation.register(1, "bob"));
    let room = alice.create_room(json!({ "preset": "public_chat" }));
    let before = alice.send_text(&room, "before");
    let sent_at = alice.event(&room, &before).ok()["origin_server_ts"].as_u64().unwrap();
    join_via(&bob, &room, &federation.server(0).name);
    let path =
        format!("/_matrix/client/v1/rooms/{}/timestamp_to_event?ts={sent_at}&dir=b", path_segment(&room));
    let found = bob.get(&path).ok()["event_id"].as_str().unwrap().to_owned();
    assert_eq!(alice.event(&room, &found).ok()["origin_server_ts"], sent_at);
    bob.event(&room, &found).ok();
}

#[test]
fn history_that_is_for_members_is_not_fetched_in_clear() {
    let federation = Federation::pair();
    let (alice, bob) = (federation.register(0, "alice"), federation.register(1, "bob"));
    let room = alice.create_room(json!({
        "preset": "public_chat",
        "initial_state": [{ "type": "m.room.history_visibility", "content": { "history_visibility": "joined" } }],
    }));
    alice.send_text(&room, "among ourselves");
    join_via(&bob, &room, &federation.server(0).name);
    alice.send_text(&room, "for all");
    let seen = all_back(&bob, &room, 10);
    assert!(!seen.iter().any(|event| event["content"]["body"] == "among ourselves"), "{seen:?}");
}

#[test]
fn without_the_other_server_there_is_what_is_known() {
    let mut federation = Federation::pair();
    let (alice, bob) = (federation.register(0, "alice"), federation.register(1, "bob"));
    let room = alice.create_room(json!({ "preset": "public_chat" }));
    alice.send_text(&room, "before");
    join_via(&bob, &room, &federation.server(0).name);
    federation.server_mut(0).stop();
    let seen = all_back(&bob, &room, 10);
    assert_eq!(seen.len(), 1, "{seen:?}");
    let unknown = format!("/_matrix/client/v3/rooms/{}/event/%24unknown", path_segment(&room));
    bob.get(&unknown).error(404, "M_NOT_FOUND");
}
