//! What the specification leaves open, or ruma's types narrow, and clients and the Complement suite rely on.

use serde_json::{Value, json};

use crate::harness::{Client, PASSWORD, Server, path_segment, unique};

#[test]
fn further_keys_of_a_join_are_in_the_member_event() {
    let server = Server::start();
    let (alice, bob, carol) = (server.register("alice"), server.register("bob"), server.register("carol"));
    let room = alice.create_room(json!({ "preset": "public_chat" }));
    let body = json!({ "foo": "bar", "reason": "tea", "membership": "ban", "displayname": "Bob here" });
    bob.post(&format!("/_matrix/client/v3/join/{}", path_segment(&room)), body).ok();
    let member = bob.state(&room, "m.room.member", &bob.user_id).ok();
    assert_eq!(
        (&member["foo"], &member["reason"], &member["membership"]),
        (&"bar".into(), &"tea".into(), &"join".into())
    );
    assert_eq!(member["displayname"], "Bob here", "a name for this room only");
    let float = carol.post(&Client::room_path(&room, "join"), json!({ "foo": 1.5 }));
    float.error(400, "M_BAD_JSON");
    carol.raw("POST", &Client::room_path(&room, "join"), None).ok();
}

#[test]
fn joined_members_have_null_for_what_they_lack() {
    let server = Server::start();
    let alice = server.register("alice");
    let room = alice.create_room(json!({}));
    let joined = alice.get(&Client::room_path(&room, "joined_members")).ok();
    let member = joined["joined"][&alice.user_id].as_object().unwrap();
    assert!(member.contains_key("display_name"), "{joined}");
    assert_eq!(member.get("avatar_url"), Some(&Value::Null), "{joined}");
}

#[test]
fn who_may_not_read_is_told_so_before_what_is_wrong_with_the_request() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    alice.leave(&room).ok();
    alice.post(&Client::room_path(&room, "forget"), json!({})).ok();
    let messages = Client::room_path(&room, "messages");
    alice.get(&messages).error(403, "M_FORBIDDEN");
    bob.get(&messages).error(400, "M_MISSING_PARAM");
    bob.get("/_matrix/client/v3/rooms/nonsense/messages").error(400, "M_INVALID_PARAM");
}

#[test]
fn another_users_password_is_no_proof() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let other = alice.log_in_again();
    let path = format!("/_matrix/client/v3/devices/{}", path_segment(&other.device_id));
    let auth = |user: &str| {
        let identifier = json!({ "type": "m.id.user", "user": user });
        json!({ "auth": { "type": "m.login.password", "identifier": identifier, "password": PASSWORD } })
    };
    alice.delete(&path, Some(auth(&bob.user_id))).error(403, "M_FORBIDDEN");
    alice.get(&path).ok();
    alice.delete(&path, Some(auth(&alice.user_id))).ok();
}

#[test]
fn a_removed_alias_leaves_the_canonical_one() {
    let server = Server::start();
    let alice = server.register("alice");
    let room = alice.create_room(json!({}));
    let [main, other] = [(); 2].map(|()| format!("#{}:localhost", unique("alias")));
    let path = |alias: &str| format!("/_matrix/client/v3/directory/room/{}", path_segment(alias));
    for alias in [&main, &other] {
        alice.put(&path(alias), json!({ "room_id": room })).ok();
    }
    alice
        .set_state(&room, "m.room.canonical_alias", "", json!({ "alias": main, "alt_aliases": [other] }))
        .ok();
    alice.delete(&path(&other), None).ok();
    assert_eq!(alice.state(&room, "m.room.canonical_alias", "").ok(), json!({ "alias": main }));
    alice.delete(&path(&main), None).ok();
    assert_eq!(alice.state(&room, "m.room.canonical_alias", "").ok(), json!({}));
}

#[test]
fn what_no_power_allows_is_a_bad_request() {
    let server = Server::start();
    let alice = server.register("alice");
    let room = alice.create_room(json!({ "room_version": "12" }));
    let levels = json!({ "users": { &alice.user_id: 100 } });
    alice.set_state(&room, "m.room.power_levels", "", levels).error(400, "M_BAD_JSON");
    alice.set_state(&room, "m.room.create", "", json!({ "room_version": "12" })).error(400, "M_BAD_JSON");
}

#[test]
fn a_new_rooms_canonical_alias_is_checked() {
    let server = Server::start();
    let alice = server.register("alice");
    let name = unique("alias");
    let request = |alias: &str| {
        let state = json!({ "type": "m.room.canonical_alias", "content": { "alias": alias } });
        json!({ "room_alias_name": name, "initial_state": [state] })
    };
    let create = "/_matrix/client/v3/createRoom";
    alice.post(create, request("#elsewhere:localhost")).error(400, "M_BAD_ALIAS");
    alice.post(create, request(&format!("#{name}:localhost"))).ok();
}

#[test]
fn typing_needs_no_timeout() {
    let server = Server::start();
    let alice = server.register("alice");
    let room = alice.create_room(json!({}));
    let path = Client::room_path(&room, &format!("typing/{}", path_segment(&alice.user_id)));
    alice.put(&path, json!({ "typing": true })).ok();
    alice.put(&path, json!({ "typing": false })).ok();
    alice.put(&path, json!({})).error(400, "M_MISSING_PARAM");
    alice.put(&path, json!([])).error(400, "M_BAD_JSON");
}
