//! Stored filters.

use serde_json::{Value, json};

use crate::harness::{Client, Server, path_segment};

fn filters(client: &Client, rest: &str) -> String {
    format!("/_matrix/client/v3/user/{}/filter{rest}", path_segment(&client.user_id))
}

fn store(client: &Client, filter: Value) -> String {
    let stored = client.post(&filters(client, ""), filter).ok();
    stored["filter_id"].as_str().unwrap().to_owned()
}

#[test]
fn a_stored_filter_comes_back() {
    let server = Server::start();
    let alice = server.register("alice");
    let filter = json!({
        "event_fields": ["type", "content", "sender"],
        "room": { "timeline": { "limit": 10, "types": ["m.room.message"] } },
    });
    let id = store(&alice, filter);
    assert!(!id.starts_with('{'), "an id is never mistaken for an inline filter");
    let read = alice.get(&filters(&alice, &format!("/{id}"))).ok();
    assert_eq!(read["room"]["timeline"]["limit"], 10);
    assert_eq!(read["room"]["timeline"]["types"], json!(["m.room.message"]));
    assert_eq!(read["event_fields"], json!(["type", "content", "sender"]));
}

#[test]
fn unknown_and_foreign_filters_are_refused() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let id = store(&alice, json!({}));
    alice.get(&filters(&alice, "/987654321")).error(404, "M_NOT_FOUND");
    bob.get(&filters(&alice, &format!("/{id}"))).error(403, "M_FORBIDDEN");
    bob.post(&filters(&alice, ""), json!({})).error(403, "M_FORBIDDEN");
    let sync = alice.get("/_matrix/client/v3/sync?filter=987654321");
    assert!(sync.status == 400 || sync.status == 404, "{sync}");
}

#[test]
fn a_stored_filter_shapes_a_sync() {
    let server = Server::start();
    let alice = server.register("alice");
    let room = alice.create_room(json!({ "name": "Room" }));
    alice.send_text(&room, "one");
    let last = alice.send_text(&room, "two");
    let id = store(&alice, json!({ "room": { "timeline": { "limit": 1 } } }));
    let sync = alice.sync(None, &format!("filter={id}"));
    let timeline = sync.timeline(&room);
    assert_eq!(timeline.len(), 1, "{timeline:?}");
    assert_eq!(timeline[0]["event_id"], last);
    assert_eq!(sync.joined(&room)["timeline"]["limited"], true);
}
