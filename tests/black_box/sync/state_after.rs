//! `use_state_after` (MSC4222): state at the end of the timeline.

use serde_json::json;

use crate::harness::{Client, Server, event_ids, find_state};

fn query(limit: usize) -> String {
    let filter = json!({ "room": { "timeline": { "limit": limit } } });
    format!("{}&use_state_after=true", Client::filter_query(&filter))
}

#[test]
fn an_initial_sync_has_the_current_state_whole() {
    let server = Server::start();
    let alice = server.register("alice");
    let room = alice.create_room(json!({ "name": "old" }));
    alice.set_state(&room, "m.room.name", "", json!({ "name": "new" })).ok();
    let sync = alice.sync(None, &query(50));
    let part = sync.joined(&room);
    assert!(part["state"].is_null(), "`state` is left out: {part}");
    let state = part["state_after"]["events"].as_array().expect("state_after").clone();
    assert_eq!(find_state(&state, "m.room.name", "").unwrap()["content"]["name"], "new");
    assert!(find_state(&state, "m.room.create", "").is_some());
    let whole = alice.get(&Client::room_path(&room, "state")).ok();
    let mut expected = event_ids(whole.as_array().unwrap());
    let mut found = event_ids(&state);
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}

#[test]
fn an_incremental_sync_has_what_changed_up_to_the_end() {
    let server = Server::start();
    let alice = server.register("alice");
    let room = alice.create_room(json!({}));
    let since = alice.sync(None, &query(10)).next_batch().to_owned();
    alice.send_text(&room, "no state");
    let sync = alice.sync(Some(&since), &query(10));
    let part = sync.joined(&room);
    assert_eq!(part["state_after"]["events"], json!([]), "present even when empty: {part}");
    let since = sync.next_batch().to_owned();
    let first = alice.set_state(&room, "m.room.topic", "", json!({ "topic": "one" })).ok();
    let second = alice.set_state(&room, "m.room.topic", "", json!({ "topic": "two" })).ok();
    let sync = alice.sync(Some(&since), &query(10));
    let state = sync.joined(&room)["state_after"]["events"].as_array().unwrap().clone();
    assert_eq!(event_ids(&state), [second["event_id"].as_str().unwrap()]);
    let timeline = event_ids(&sync.timeline(&room));
    assert_eq!(timeline, [first["event_id"].as_str().unwrap(), second["event_id"].as_str().unwrap()]);
    // In a gap as well.
    for n in 0..3 {
        alice.send_text(&room, &format!("{n}"));
    }
    let gap = alice.sync(Some(&since), &query(2));
    let state = gap.joined(&room)["state_after"]["events"].as_array().unwrap().clone();
    assert_eq!(event_ids(&state), [second["event_id"].as_str().unwrap()]);
}
