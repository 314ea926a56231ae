//! What rooms tell to those who are not in them, and what becomes of rooms that are replaced.

use serde_json::{Value, json};

use crate::harness::{Client, Server, path_segment};

fn summary(client: &Client, room: &str) -> crate::harness::Answer {
    client.get(&format!("/_matrix/client/v1/room_summary/{}", path_segment(room)))
}

fn room_names(answer: &Value) -> Vec<&str> {
    answer["rooms"].as_array().unwrap().iter().map(|room| room["name"].as_str().unwrap()).collect()
}

#[test]
fn a_space_and_its_rooms_are_told_to_who_may_join_them() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let space =
        json!({ "preset": "public_chat", "name": "space", "creation_content": { "type": "m.space" } });
    let space = alice.create_room(space);
    let open = alice.create_room(json!({ "preset": "public_chat", "name": "open" }));
    let closed = alice.create_room(json!({ "preset": "private_chat", "name": "closed" }));
    for child in [&closed, &open] {
        alice.set_state(&space, "m.space.child", child, json!({ "via": ["localhost"] })).ok();
    }
    let path = format!("/_matrix/client/v1/rooms/{}/hierarchy", path_segment(&space));
    assert_eq!(room_names(&alice.get(&path).ok()), ["space", "closed", "open"]);
    let first = bob.get(&format!("{path}?limit=1")).ok();
    assert_eq!(
        (room_names(&first), first["rooms"][0]["room_type"].as_str()),
        (vec!["space"], Some("m.space"))
    );
    let next = first["next_batch"].as_str().unwrap();
    assert_eq!(room_names(&bob.get(&format!("{path}?limit=1&from={next}")).ok()), ["open"]);
    bob.get(&format!("{path}?from=forged")).error(400, "M_INVALID_PARAM");
    bob.get(&format!("{path}?limit=0")).error(400, "M_INVALID_PARAM");

    assert_eq!(summary(&bob, &open).ok()["membership"], "leave");
    assert!(summary(&bob.with_token(None), &open).ok().get("membership").is_none());
    summary(&bob, &closed).error(404, "M_NOT_FOUND");
    summary(&bob, "!unknown:localhost").error(404, "M_NOT_FOUND");
    assert_eq!(summary(&alice, &closed).ok()["membership"], "join");
}

#[test]
fn a_room_is_replaced_and_settings_follow() {
    let mut server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    let rule = |room: &str| format!("/_matrix/client/v3/pushrules/global/room/{}", path_segment(room));
    bob.put(&rule(&room), json!({ "actions": [] })).ok();
    let upgrade = Client::room_path(&room, "upgrade");
    bob.post(&upgrade, json!({ "new_version": "11" })).error(403, "M_FORBIDDEN");
    alice.post(&upgrade, json!({ "new_version": "none" })).error(400, "M_UNSUPPORTED_ROOM_VERSION");
    alice.post(&upgrade, json!({})).error(400, "M_MISSING_PARAM");
    let replaced = alice.post(&upgrade, json!({ "new_version": "11" })).ok();
    let successor = replaced["replacement_room"].as_str().unwrap();
    assert_eq!(alice.state(&room, "m.room.tombstone", "").ok()["replacement_room"], successor);
    bob.join(successor).ok();
    bob.get(&rule(successor)).ok();
    server.stop();
    server.assert_check_finds_nothing();
}

#[test]
fn events_are_found_by_time_and_reported() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room(json!({}));
    let event = alice.send_text(&room, "hello");
    let path = format!("/_matrix/client/v1/rooms/{}/timestamp_to_event", path_segment(&room));
    let latest = format!("{path}?ts=99999999999999&dir=b");
    assert_eq!(alice.get(&latest).ok()["event_id"], event.as_str());
    alice.get(&format!("{path}?ts=99999999999999&dir=f")).error(404, "M_NOT_FOUND");
    bob.get(&latest).error(403, "M_FORBIDDEN");

    let report = Client::room_path(&room, &format!("report/{}", path_segment(&event)));
    alice.post(&report, json!({ "reason": "spam" })).ok();
    bob.post(&report, json!({ "reason": "spam" })).error(404, "M_NOT_FOUND");
    alice.post(&Client::room_path(&room, "report"), json!({ "reason": "spam" })).ok();
    let user = |id: &str| format!("/_matrix/client/v3/users/{}/report", path_segment(id));
    alice.post(&user(&bob.user_id), json!({ "reason": "spam" })).ok();
    alice.post(&user("@nobody:localhost"), json!({ "reason": "spam" })).error(404, "M_NOT_FOUND");
    alice.get("/_matrix/client/v3/voip/turnServer").error(404, "M_NOT_FOUND");
    let foci = alice.get("/_matrix/client/unstable/org.matrix.msc4143/rtc/transports").ok();
    assert_eq!(foci, json!({ "rtc_transports": [] }));
}

#[test]
fn rooms_that_two_share_are_listed() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let shared = alice.create_room_with(&[&bob]);
    alice.create_room(json!({}));
    let path = |user: &str| format!("/_matrix/client/v1/mutual_rooms?user_id={}", path_segment(user));
    assert_eq!(alice.get(&path(&bob.user_id)).ok(), json!({ "joined": [shared], "count": 1 }));
    assert_eq!(alice.get(&path("@nobody:localhost")).ok(), json!({ "joined": [], "count": 0 }));
    alice.get(&path(&alice.user_id)).error(400, "M_INVALID_PARAM");
    alice.get(&format!("{}&from=forged", path(&bob.user_id))).error(400, "M_INVALID_PARAM");
}
