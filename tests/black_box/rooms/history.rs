//! `/messages` both ways, `/context`, and who may see which part of the past.

use serde_json::{Value, json};

use crate::harness::{Client, Server, event_ids, path_segment};

fn numbered(client: &Client, room: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| client.send_text(room, &format!("message {n}"))).collect()
}

#[test]
fn pages_join_without_gap_or_overlap_in_both_directions() {
    let server = Server::start();
    let alice = server.register("alice");
    let room = alice.create_room(json!({}));
    let sent = numbered(&alice, &room, 25);
    for page in [1, 7, 25, 100] {
        let forward = event_ids(&alice.all_messages(&room, 'f', page));
        let mut backward = event_ids(&alice.all_messages(&room, 'b', page));
        backward.reverse();
        assert_eq!(forward, backward, "pages of {page}");
        assert_eq!(forward[forward.len() - sent.len()..], sent, "pages of {page}");
    }
    let oldest = alice.all_messages(&room, 'f', 5);
    assert_eq!(oldest[0]["type"], "m.room.create");
}

#[test]
fn a_page_can_be_turned_around() {
    let server = Server::start();
    let alice = server.register("alice");
    let room = alice.create_room(json!({}));
    let sent = numbered(&alice, &room, 10);
    let back = alice.messages(&room, "dir=b&limit=4").ok();
    assert_eq!(
        event_ids(back["chunk"].as_array().unwrap()),
        [sent[9].as_str(), sent[8].as_str(), sent[7].as_str(), sent[6].as_str()]
    );
    let end = path_segment(back["end"].as_str().unwrap());
    let forward = alice.messages(&room, &format!("dir=f&limit=4&from={end}")).ok();
    assert_eq!(
        event_ids(forward["chunk"].as_array().unwrap()),
        [sent[6].as_str(), sent[7].as_str(), sent[8].as_str(), sent[9].as_str()]
    );
    let further = alice.messages(&room, &format!("dir=b&limit=2&from={end}")).ok();
    assert_eq!(event_ids(further["chunk"].as_array().unwrap()), [sent[5].as_str(), sent[4].as_str()]);
    assert_eq!(further["start"], back["end"]);
}

#[test]
fn a_page_ends_at_to_and_obeys_its_filter() {
    let server = Server::start();
    let alice = server.register("alice");
    let room = alice.create_room(json!({}));
    alice.send_text(&room, "old");
    let since = alice.sync(None, "").next_batch().to_owned();
    let new = numbered(&alice, &room, 3);
    let page = alice.messages(&room, &format!("dir=b&limit=50&to={}", path_segment(&since))).ok();
    assert_eq!(
        event_ids(page["chunk"].as_array().unwrap()),
        [new[2].as_str(), new[1].as_str(), new[0].as_str()]
    );
    alice.send(&room, "org.example.other", "t", json!({ "n": 1 })).ok();
    let filter = path_segment(&json!({ "types": ["org.example.*"] }).to_string());
    let page = alice.messages(&room, &format!("dir=b&limit=50&filter={filter}")).ok();
    let chunk = page["chunk"].as_array().unwrap();
    assert_eq!(chunk.len(), 1, "{page}");
    assert_eq!(chunk[0]["type"], "org.example.other");
}

#[test]
fn lazy_pages_bring_their_senders() {
    let server = Server::start();
    let (alice, bob, carol) = (server.register("alice"), server.register("bob"), server.register("carol"));
    let room = alice.create_room_with(&[&bob, &carol]);
    bob.send_text(&room, "from Bob");
    let filter = path_segment(&json!({ "lazy_load_members": true }).to_string());
    let page = alice.messages(&room, &format!("dir=b&limit=1&filter={filter}")).ok();
    let state = page["state"].as_array().unwrap();
    let keys: Vec<&Value> = state.iter().map(|event| &event["state_key"]).collect();
    assert_eq!(keys, [&json!(bob.user_id)], "{page}");
}

fn context(client: &Client, room: &str, event_id: &str, limit: usize) -> Value {
    let path = format!("context/{}?limit={limit}", path_segment(event_id));
    client.get(&Client::room_path(room, &path)).ok()
}

#[test]
fn context_surrounds_an_event() {
    let server = Server::start();
    let alice = server.register("alice");
    let room = alice.create_room(json!({ "name": "Context" }));
    let sent = numbered(&alice, &room, 9);
    let around = context(&alice, &room, sent[4].as_str(), 4);
    assert_eq!(around["event"]["event_id"], sent[4]);
    assert_eq!(event_ids(around["events_before"].as_array().unwrap()), [sent[3].as_str(), sent[2].as_str()]);
    assert_eq!(event_ids(around["events_after"].as_array().unwrap()), [sent[5].as_str(), sent[6].as_str()]);
    let names: Vec<&Value> =
        around["state"].as_array().unwrap().iter().filter(|event| event["type"] == "m.room.name").collect();
    assert_eq!(names.len(), 1);
    let (start, end) = (around["start"].as_str().unwrap(), around["end"].as_str().unwrap());
    let before = alice.messages(&room, &format!("dir=b&limit=2&from={}", path_segment(start))).ok();
    assert_eq!(event_ids(before["chunk"].as_array().unwrap()), [sent[1].as_str(), sent[0].as_str()]);
    let after = alice.messages(&room, &format!("dir=f&limit=2&from={}", path_segment(end))).ok();
    assert_eq!(event_ids(after["chunk"].as_array().unwrap()), [sent[7].as_str(), sent[8].as_str()]);
    let alone = context(&alice, &room, sent[4].as_str(), 0);
    assert_eq!(alone["event"]["event_id"], sent[4]);
    assert!(alone["events_before"].as_array().is_none_or(Vec::is_empty), "{alone}");
    assert!(alone["events_after"].as_array().is_none_or(Vec::is_empty), "{alone}");
}

fn room_with_visibility(alice: &Client, visibility: &str) -> String {
    let content = json!({ "history_visibility": visibility });
    let initial = json!([{ "type": "m.room.history_visibility", "state_key": "", "content": content }]);
    alice.create_room(json!({ "preset": "public_chat", "initial_state": initial }))
}

#[test]
fn history_is_seen_as_the_room_decides() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    for (visibility, expected) in [
        ("world_readable", vec!["before invite", "after invite", "after join"]),
        ("shared", vec!["before invite", "after invite", "after join"]),
        ("invited", vec!["after invite", "after join"]),
        ("joined", vec!["after join"]),
    ] {
        let room = room_with_visibility(&alice, visibility);
        let early = alice.send_text(&room, "before invite");
        alice.moderate("invite", &room, &bob.user_id).ok();
        alice.send_text(&room, "after invite");
        bob.join(&room).ok();
        alice.send_text(&room, "after join");
        assert_eq!(bob.all_texts(&room), expected, "{visibility}");
        let early_seen = expected.contains(&"before invite");
        assert_eq!(bob.event(&room, &early).status == 200, early_seen, "{visibility}");
    }
}

#[test]
fn a_world_readable_room_is_read_from_outside() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = room_with_visibility(&alice, "world_readable");
    let event = alice.send_text(&room, "for all");
    assert_eq!(bob.all_texts(&room), ["for all"]);
    assert_eq!(bob.event(&room, &event).ok()["content"]["body"], "for all");
    bob.state(&room, "m.room.create", "").ok();
}
