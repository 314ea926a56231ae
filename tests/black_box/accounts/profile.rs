//! Profiles, and the member events that follow them.

use serde_json::json;

use crate::harness::{Client, Server, path_segment, unique};

fn profile(user_id: &str, rest: &str) -> String {
    format!("/_matrix/client/v3/profile/{}{rest}", path_segment(user_id))
}

#[test]
fn a_profile_is_set_and_read_by_others() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let url = "mxc://localhost/abcdefg";
    alice.put(&profile(&alice.user_id, "/displayname"), json!({ "displayname": "Alice A." })).ok();
    alice.put(&profile(&alice.user_id, "/avatar_url"), json!({ "avatar_url": url })).ok();
    let read = bob.get(&profile(&alice.user_id, "")).ok();
    assert_eq!(read["displayname"], "Alice A.");
    assert_eq!(read["avatar_url"], url);
    let name = bob.get(&profile(&alice.user_id, "/displayname")).ok();
    assert_eq!(name, json!({ "displayname": "Alice A." }));
    let avatar = bob.get(&profile(&alice.user_id, "/avatar_url")).ok();
    assert_eq!(avatar, json!({ "avatar_url": url }));
}

#[test]
fn only_the_owner_sets_a_profile() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let path = profile(&alice.user_id, "/displayname");
    bob.put(&path, json!({ "displayname": "Mallory" })).error(403, "M_FORBIDDEN");
    let answer = alice.with_token(None).put(&path, json!({ "displayname": "Mallory" }));
    answer.error(401, "M_MISSING_TOKEN");
}

#[test]
fn nobody_has_no_profile() {
    let server = Server::start();
    let alice = server.register("alice");
    let nobody = format!("@{}:localhost", unique("nobody"));
    alice.get(&profile(&nobody, "")).error(404, "M_NOT_FOUND");
    alice.get(&profile(&nobody, "/displayname")).error(404, "M_NOT_FOUND");
}

#[test]
fn a_new_name_reaches_the_rooms() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    let since = bob.sync(None, "").next_batch().to_owned();
    alice.put(&profile(&alice.user_id, "/displayname"), json!({ "displayname": "New Name" })).ok();
    let update = bob.sync_until(&since, |sync| !sync.timeline(&room).is_empty());
    let event = update.timeline(&room).pop().unwrap();
    assert_eq!(event["type"], "m.room.member");
    assert_eq!(event["state_key"], alice.user_id);
    assert_eq!(event["content"]["membership"], "join");
    assert_eq!(event["content"]["displayname"], "New Name");
    let read = bob.get(&Client::room_path(&room, "joined_members")).ok();
    assert_eq!(read["joined"][&alice.user_id]["display_name"], "New Name");
    // A room joined later starts with the name.
    let later = bob.create_room_with(&[&alice]);
    let member = bob.state(&later, "m.room.member", &alice.user_id).ok();
    assert_eq!(member["displayname"], "New Name");
}

#[test]
fn an_oversized_name_is_refused() {
    let server = Server::start();
    let alice = server.register("alice");
    let body = json!({ "displayname": "x".repeat(70_000) });
    let answer = alice.put(&profile(&alice.user_id, "/displayname"), body);
    assert!((400..500).contains(&answer.status), "{answer}");
    assert!(answer.errcode().is_some(), "{answer}");
}

#[test]
fn a_field_is_deleted() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let path = format!("/_matrix/client/v3/profile/{}/org.example.colour", path_segment(&alice.user_id));
    alice.put(&path, json!({ "org.example.colour": "blue" })).ok();
    assert_eq!(bob.get(&path).ok(), json!({ "org.example.colour": "blue" }));
    bob.delete(&path, None).error(403, "M_FORBIDDEN");
    alice.delete(&path, None).ok();
    bob.get(&path).error(404, "M_NOT_FOUND");
}
