//! Rooms.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{World, v1, world};
use crate::harness::{Client, path_segment};

fn of(room: &str, rest: &str) -> String {
    v1(&format!("rooms/{}{rest}", path_segment(room)))
}

/// Asks until the deletion has ended, and answers how.
#[track_caller]
fn wait_for_end(admin: &Client, id: &Value) -> Value {
    let end = Instant::now() + Duration::from_secs(60);
    while Instant::now() < end {
        let path = format!("/_synapse/admin/v2/rooms/delete_status/{}", id.as_str().unwrap());
        let status = admin.get(&path).ok();
        if ["complete", "failed"].iter().any(|ended| status["status"] == *ended) {
            return status;
        }
        std::thread::yield_now();
    }
    panic!("the deletion did not end");
}

#[test]
fn rooms_are_listed_and_looked_at() {
    let World { server: _server, admin, alice } = world();
    let room = alice.create_room(json!({ "name": "Kitchen", "preset": "public_chat", "topic": "Cakes" }));
    alice.create_room(json!({ "name": "Attic" }));
    let list = admin.get(&v1("rooms")).ok();
    assert_eq!(
        (&list["total_rooms"], &list["offset"], &list["rooms"][0]["name"]),
        (&json!(2), &json!(0), &json!("Attic"))
    );
    let found = admin.get(&v1("rooms?search_term=kitch")).ok();
    assert_eq!((&found["total_rooms"], &found["rooms"][0]["room_id"]), (&json!(1), &json!(room)));
    let second = admin.get(&v1("rooms?limit=1&from=1&order_by=name")).ok();
    assert_eq!(
        (&second["rooms"][0]["name"], &second["prev_batch"], &second["next_batch"]),
        (&json!("Kitchen"), &json!(0), &Value::Null)
    );
    let details = admin.get(&of(&room, "")).ok();
    assert_eq!(
        (&details["topic"], &details["joined_local_members"], &details["join_rules"]),
        (&json!("Cakes"), &json!(1), &json!("public"))
    );
    assert_eq!((&details["creator"], &details["joined_local_devices"]), (&json!(alice.user_id), &json!(1)));
    assert_eq!(admin.get(&of(&room, "/members")).ok(), json!({ "members": [alice.user_id], "total": 1 }));
    let state = admin.get(&of(&room, "/state?type=m.room.name")).ok();
    assert_eq!(state["state"][0]["content"]["name"], "Kitchen");
    let said = alice.send_text(&room, "hello");
    let messages = admin.get(&of(&room, "/messages?dir=b&limit=1")).ok();
    assert_eq!((&messages["chunk"][0]["event_id"], messages["end"].is_string()), (&json!(said), true));
    let event = admin.get(&v1(&format!("fetch_event/{}", path_segment(&said)))).ok();
    assert_eq!(event["event"]["content"]["body"], "hello");
    let context = admin.get(&of(&room, &format!("/context/{}?limit=4", path_segment(&said)))).ok();
    assert_eq!(
        (&context["event"]["event_id"], context["events_before"].as_array().unwrap().len()),
        (&json!(said), 2)
    );
    let ends = admin.get(&of(&room, "/forward_extremities")).ok();
    assert_eq!((&ends["count"], &ends["results"][0]["event_id"]), (&json!(1), &json!(said)));
    let near = admin.get(&of(&room, "/timestamp_to_event?ts=99999999999999&dir=b")).ok();
    assert_eq!(near["event_id"], said);
    admin.get(&of(&room, "/timestamp_to_event?ts=99999999999999")).error(404, "M_NOT_FOUND");
    admin.get(&of("!unknown:localhost", "")).error(404, "M_NOT_FOUND");
    admin.get(&of("nonsense", "")).error(400, "M_INVALID_PARAM");
    admin.get(&v1("rooms?order_by=colour")).error(400, "M_INVALID_PARAM");
}

#[test]
fn a_blocked_room_lets_nobody_in() {
    let World { server, admin, alice } = world();
    let bob = server.register("bob");
    let room = alice.create_room_with(&[]);
    assert_eq!(admin.get(&of(&room, "/block")).ok(), json!({ "block": false }));
    admin.put(&of(&room, "/block"), json!({ "block": true })).ok();
    assert_eq!(admin.get(&of(&room, "/block")).ok(), json!({ "block": true, "user_id": admin.user_id }));
    bob.join(&room).error(403, "M_FORBIDDEN");
    alice.moderate("invite", &room, &bob.user_id).error(403, "M_FORBIDDEN");
    alice.send_text(&room, "those in it go on");
    admin.put(&of(&room, "/block"), json!({ "block": false })).ok();
    bob.join(&room).ok();
}

#[test]
fn power_over_a_room_is_given_to_the_administrator() {
    let World { server: _server, admin, alice } = world();
    let room = alice.create_room(json!({}));
    admin.post(&of(&room, "/make_room_admin"), json!({})).ok();
    admin.join(&room).ok();
    admin.set_state(&room, "m.room.name", "", json!({ "name": "Mine" })).ok();
    admin.post(&of("!unknown:localhost", "/make_room_admin"), json!({})).error(404, "M_NOT_FOUND");
}

#[test]
fn an_administrator_brings_users_into_rooms() {
    let World { server, admin, .. } = world();
    let bob = server.register("bob");
    let room = admin.create_room(json!({ "preset": "private_chat" }));
    let path = v1(&format!("join/{}", path_segment(&room)));
    assert_eq!(admin.post(&path, json!({ "user_id": bob.user_id })).ok()["room_id"], room);
    assert_eq!(bob.get("/_matrix/client/v3/joined_rooms").ok()["joined_rooms"], json!([room]));
    admin.post(&path, json!({ "user_id": "@nobody:localhost" })).error(404, "M_NOT_FOUND");
    admin.post(&path, json!({})).error(400, "M_MISSING_PARAM");
}

#[test]
fn a_room_is_deleted_from_the_disk_and_its_users_learn_of_it() {
    let World { mut server, admin, alice } = world();
    let room = alice.create_room(json!({ "preset": "public_chat", "room_alias_name": "kitchen" }));
    let kept = alice.create_room(json!({ "name": "Kept" }));
    for n in 0..20 {
        alice.send_text(&room, &format!("message {n}"));
    }
    let since = alice.get("/_matrix/client/v3/sync?timeout=0").ok()["next_batch"].clone();
    let path = format!("/_synapse/admin/v2/rooms/{}", path_segment(&room));
    let started = admin.delete(&path, Some(json!({ "purge": true, "block": true }))).ok();
    let ended = wait_for_end(&admin, &started["delete_id"]);
    assert_eq!(ended["status"], "complete", "{ended}");
    assert_eq!(ended["shutdown_room"]["kicked_users"], json!([alice.user_id]));
    assert_eq!(ended["shutdown_room"]["local_aliases"], json!(["#kitchen:localhost"]));
    let of_room = admin.get(&format!("{path}/delete_status")).ok();
    assert_eq!(of_room["results"][0]["delete_id"], started["delete_id"]);
    assert_eq!(admin.get(&v1("rooms")).ok()["total_rooms"], 1);
    let sync =
        alice.get(&format!("/_matrix/client/v3/sync?timeout=0&since={}", since.as_str().unwrap())).ok();
    assert!(sync["rooms"]["leave"].get(&room).is_some(), "{sync}");
    alice.get("/_matrix/client/v3/sync?timeout=0").ok();
    alice.join(&room).error(403, "M_FORBIDDEN");
    alice.get(&Client::room_path(&room, "messages?dir=b")).error(403, "M_FORBIDDEN");
    alice.create_room(json!({ "preset": "public_chat", "room_alias_name": "kitchen" }));
    alice.send_text(&kept, "other rooms go on");
    admin.delete(&path, Some(json!({}))).error(404, "M_NOT_FOUND");
    admin.get("/_synapse/admin/v2/rooms/delete_status/nonsense").error(404, "M_NOT_FOUND");
    server.stop();
    server.assert_check_finds_nothing();
}

#[test]
fn the_older_way_answers_when_the_room_is_gone() {
    let World { server: _server, admin, alice } = world();
    let room = alice.create_room(json!({}));
    let body = json!({ "new_room_user_id": admin.user_id, "room_name": "Closed", "message": "Sorry" });
    let done = admin.delete(&of(&room, ""), Some(body)).ok();
    assert_eq!(done["kicked_users"], json!([alice.user_id]));
    let new_room = done["new_room_id"].as_str().unwrap();
    let joined = alice.get("/_matrix/client/v3/joined_rooms").ok();
    assert_eq!(joined["joined_rooms"], json!([new_room]));
    alice.send(new_room, "m.room.message", "1", json!({ "body": "x" })).error(403, "M_FORBIDDEN");
}
