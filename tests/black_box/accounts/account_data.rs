//! Account data, global and per room.

use serde_json::json;

use crate::harness::{Client, Server, path_segment};

fn global(client: &Client, data_type: &str) -> String {
    format!("/_matrix/client/v3/user/{}/account_data/{data_type}", path_segment(&client.user_id))
}

fn in_room(client: &Client, room_id: &str, data_type: &str) -> String {
    let user = path_segment(&client.user_id);
    let room = path_segment(room_id);
    format!("/_matrix/client/v3/user/{user}/rooms/{room}/account_data/{data_type}")
}

#[test]
fn what_is_stored_comes_back_and_the_last_one_wins() {
    let server = Server::start();
    let alice = server.register("alice");
    let room = alice.create_room(json!({}));
    for path in [global(&alice, "org.example.custom"), in_room(&alice, &room, "org.example.custom")] {
        alice.get(&path).error(404, "M_NOT_FOUND");
        alice.put(&path, json!({ "n": 1 })).ok();
        alice.put(&path, json!({ "n": 2, "nested": { "list": [1, "two", null] } })).ok();
        assert_eq!(alice.get(&path).ok(), json!({ "n": 2, "nested": { "list": [1, "two", null] } }));
    }
}

#[test]
fn account_data_is_private() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    for path in [global(&alice, "org.example.custom"), in_room(&alice, &room, "org.example.custom")] {
        alice.put(&path, json!({ "secret": true })).ok();
        bob.get(&path).error(403, "M_FORBIDDEN");
        bob.put(&path, json!({})).error(403, "M_FORBIDDEN");
    }
    let seen = bob.sync(None, "");
    assert!(!seen.body.to_string().contains("org.example.custom"), "{}", seen.body);
}

#[test]
fn what_the_server_manages_is_not_set_by_hand() {
    let server = Server::start();
    let alice = server.register("alice");
    let room = alice.create_room(json!({}));
    let answer = alice.put(&in_room(&alice, &room, "m.fully_read"), json!({ "event_id": "$x" }));
    answer.error(405, "M_BAD_JSON");
    alice.put(&global(&alice, "m.push_rules"), json!({})).error(405, "M_BAD_JSON");
}

#[test]
fn account_data_must_be_an_object() {
    let server = Server::start();
    let alice = server.register("alice");
    let path = global(&alice, "org.example.custom");
    alice.raw("PUT", &path, Some(b"{nonsense")).error(400, "M_NOT_JSON");
    alice.put(&path, json!(["a", "list"])).error(400, "M_BAD_JSON");
    alice.get(&path).error(404, "M_NOT_FOUND");
}

#[test]
fn account_data_comes_down_sync_to_every_device() {
    let server = Server::start();
    let alice = server.register("alice");
    let tablet = alice.log_in_again();
    let room = alice.create_room(json!({}));
    let since = tablet.sync(None, "").next_batch().to_owned();
    alice.put(&global(&alice, "org.example.custom"), json!({ "n": 1 })).ok();
    let update = tablet.sync_until(&since, |sync| !sync.body["account_data"]["events"].is_null());
    let expected = json!([{ "type": "org.example.custom", "content": { "n": 1 } }]);
    assert_eq!(update.body["account_data"]["events"], expected);
    alice.put(&in_room(&alice, &room, "org.example.custom"), json!({ "n": 2 })).ok();
    let update = tablet.sync_until(update.next_batch(), |sync| !sync.joined(&room).is_null());
    let expected = json!([{ "type": "org.example.custom", "content": { "n": 2 } }]);
    assert_eq!(update.joined(&room)["account_data"]["events"], expected);
    assert!(update.timeline(&room).is_empty());
}

#[test]
fn an_initial_sync_has_all_account_data() {
    let server = Server::start();
    let alice = server.register("alice");
    let room = alice.create_room(json!({}));
    alice.put(&global(&alice, "org.example.custom"), json!({ "n": 1 })).ok();
    alice.put(&in_room(&alice, &room, "m.tag"), json!({ "tags": { "m.favourite": {} } })).ok();
    let sync = alice.sync(None, "");
    let events = sync.body["account_data"]["events"].as_array().unwrap();
    let expected = json!({ "type": "org.example.custom", "content": { "n": 1 } });
    assert!(events.contains(&expected), "{events:?}");
    assert!(events.iter().any(|event| event["type"] == "m.push_rules"), "push rules: {events:?}");
    let in_room = sync.joined(&room)["account_data"]["events"].as_array().unwrap();
    assert_eq!(in_room, &[json!({ "type": "m.tag", "content": { "tags": { "m.favourite": {} } } })]);
}

#[test]
fn a_tag_is_removed() {
    let server = Server::start();
    let alice = server.register("alice");
    let room = alice.create_room(json!({}));
    let tags = format!("/_matrix/client/v3/user/{}/rooms/{room}/tags", path_segment(&alice.user_id));
    alice.put(&format!("{tags}/m.favourite"), json!({ "order": 0.5 })).ok();
    assert_eq!(alice.get(&tags).ok()["tags"], json!({ "m.favourite": { "order": 0.5 } }));
    alice.delete(&format!("{tags}/m.favourite"), None).ok();
    assert_eq!(alice.get(&tags).ok()["tags"], json!({}));
}
