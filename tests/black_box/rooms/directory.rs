//! The directory of public rooms.

use serde_json::{Value, json};

use crate::harness::{Client, Server, path_segment, unique};

const PUBLIC_ROOMS: &str = "/_matrix/client/v3/publicRooms";

fn search(client: &Client, term: &str) -> Vec<Value> {
    let body = json!({ "filter": { "generic_search_term": term } });
    client.post(PUBLIC_ROOMS, body).ok()["chunk"].as_array().unwrap().clone()
}

#[test]
fn a_published_room_shows_its_face() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let name = unique("Public Room");
    let local = unique("public");
    let room = alice.create_room(json!({
        "visibility": "public", "name": name, "topic": "Come in", "room_alias_name": local,
    }));
    bob.join(&room).ok();
    let found = search(&bob, &name);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["room_id"], room);
    assert_eq!(found[0]["name"], name);
    assert_eq!(found[0]["topic"], "Come in");
    assert_eq!(found[0]["canonical_alias"], format!("#{local}:localhost"));
    assert_eq!(found[0]["num_joined_members"], 2);
    assert_eq!(found[0]["world_readable"], false);
    assert_eq!(found[0]["guest_can_join"], false);
    // "When not present, the room is assumed to be public."
    assert!(found[0]["join_rule"].is_null() || found[0]["join_rule"] == "public", "{found:?}");
    let listed = bob.get(PUBLIC_ROOMS).ok();
    assert!(listed["chunk"].as_array().unwrap().iter().any(|entry| entry["room_id"] == room));
}

#[test]
fn a_room_is_published_and_withdrawn_by_those_who_may() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let name = unique("Hidden Room");
    let room = alice.create_room(json!({ "preset": "public_chat", "name": name }));
    bob.join(&room).ok();
    assert!(search(&bob, &name).is_empty());
    let path = format!("/_matrix/client/v3/directory/list/room/{}", path_segment(&room));
    assert_eq!(bob.get(&path).ok()["visibility"], "private");
    bob.put(&path, json!({ "visibility": "public" })).error(403, "M_FORBIDDEN");
    alice.put(&path, json!({ "visibility": "public" })).ok();
    assert_eq!(bob.get(&path).ok()["visibility"], "public");
    assert_eq!(search(&bob, &name).len(), 1);
    alice.put(&path, json!({ "visibility": "private" })).ok();
    assert!(search(&bob, &name).is_empty());
    let nowhere = format!("/_matrix/client/v3/directory/list/room/{}", path_segment("!nowhere:localhost"));
    alice.get(&nowhere).error(404, "M_NOT_FOUND");
}

#[test]
fn the_directory_is_paged_largest_room_first() {
    let server = Server::start();
    let users: Vec<Client> = (0..3).map(|n| server.register(&format!("user{n}"))).collect();
    let series = unique("Series");
    let rooms: Vec<String> = (0..3)
        .map(|n| {
            let body = json!({ "visibility": "public", "name": format!("{series} {n}") });
            let room = users[0].create_room(body);
            for user in &users[1..=n] {
                user.join(&room).ok();
            }
            room
        })
        .collect();
    let mut seen = Vec::new();
    let mut since = Value::Null;
    for _ in 0..rooms.len() {
        let mut body = json!({ "limit": 1, "filter": { "generic_search_term": series } });
        if let Some(token) = since.as_str() {
            body["since"] = json!(token);
        }
        let page = users[0].post(PUBLIC_ROOMS, body).ok();
        let chunk = page["chunk"].as_array().unwrap();
        assert_eq!(chunk.len(), 1, "{page}");
        seen.push(chunk[0]["room_id"].as_str().unwrap().to_owned());
        since = page["next_batch"].clone();
    }
    assert!(since.is_null(), "three rooms are three pages");
    let expected: Vec<String> = rooms.into_iter().rev().collect();
    assert_eq!(seen, expected);
}
