//! Creating rooms: presets, options, versions.

use serde_json::{Value, json};

use crate::harness::{Client, Server, ServerSettings, unique};

const CREATE: &str = "/_matrix/client/v3/createRoom";

fn content(client: &Client, room: &str, event_type: &str) -> Value {
    client.state(room, event_type, "").ok()
}

fn assert_preset(client: &Client, room: &str, rules: [&str; 3]) {
    let [join_rule, visibility, guest_access] = rules;
    assert_eq!(content(client, room, "m.room.join_rules")["join_rule"], join_rule);
    assert_eq!(content(client, room, "m.room.history_visibility")["history_visibility"], visibility);
    if guest_access == "forbidden" {
        // May be left out, as it is the default.
        let answer = client.state(room, "m.room.guest_access", "");
        assert!(answer.status == 404 || answer.ok()["guest_access"] == "forbidden", "{answer}");
    } else {
        assert_eq!(content(client, room, "m.room.guest_access")["guest_access"], guest_access);
    }
}

#[test]
fn each_preset_sets_its_rules() {
    let server = Server::start();
    let alice = server.register("alice");
    let make = |body: Value| alice.create_room(body);
    let private = ["invite", "shared", "can_join"];
    let public = ["public", "shared", "forbidden"];
    assert_preset(&alice, &make(json!({ "preset": "private_chat" })), private);
    assert_preset(&alice, &make(json!({ "preset": "trusted_private_chat" })), private);
    assert_preset(&alice, &make(json!({ "preset": "public_chat" })), public);
    assert_preset(&alice, &make(json!({})), private);
    assert_preset(&alice, &make(json!({ "visibility": "private" })), private);
    assert_preset(&alice, &make(json!({ "visibility": "public" })), public);
}

#[test]
fn trusted_guests_are_equals() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let invite = json!({ "preset": "trusted_private_chat", "invite": [bob.user_id], "room_version": "11" });
    let room = alice.create_room(invite.clone());
    let levels = content(&alice, &room, "m.room.power_levels");
    assert_eq!(levels["users"][&alice.user_id], 100);
    assert_eq!(levels["users"][&bob.user_id], 100);

    let mut invite_12 = invite;
    invite_12["room_version"] = json!("12");
    let room = alice.create_room(invite_12);
    let create = content(&alice, &room, "m.room.create");
    assert_eq!(create["additional_creators"], json!([bob.user_id]), "{create}");
    bob.join(&room).ok();
    bob.set_state(&room, "m.room.name", "", json!({ "name": "by Bob" })).ok();
}

#[test]
fn the_options_end_up_in_the_state() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let local = unique("room");
    let room = alice.create_room(json!({
        "name": "The Room", "topic": "Everything", "invite": [bob.user_id], "is_direct": true,
        "room_alias_name": local,
        "creation_content": { "m.federate": false, "type": "m.space" },
        "power_level_content_override": { "events_default": 7 },
        "initial_state": [
            { "type": "org.example.custom", "state_key": "key", "content": { "n": 1 } },
            { "type": "m.room.join_rules", "content": { "join_rule": "knock" } },
        ],
    }));
    assert_eq!(content(&alice, &room, "m.room.name")["name"], "The Room");
    assert_eq!(content(&alice, &room, "m.room.topic")["topic"], "Everything");
    assert_eq!(content(&alice, &room, "m.room.canonical_alias")["alias"], format!("#{local}:localhost"));
    assert_eq!(content(&alice, &room, "m.room.power_levels")["events_default"], 7);
    assert_eq!(content(&alice, &room, "m.room.join_rules")["join_rule"], "knock");
    assert_eq!(alice.state(&room, "org.example.custom", "key").ok()["n"], 1);
    let create = content(&alice, &room, "m.room.create");
    assert_eq!(create["m.federate"], false);
    assert_eq!(create["type"], "m.space");
    assert_eq!(create["room_version"], "12");
    let invite = alice.state(&room, "m.room.member", &bob.user_id).ok();
    assert_eq!(invite["membership"], "invite");
    assert_eq!(invite["is_direct"], true);
}

#[test]
fn the_first_events_come_in_the_specs_order() {
    let server = Server::start();
    let alice = server.register("alice");
    let room = alice.create_room(json!({ "name": "n", "topic": "t", "preset": "public_chat" }));
    let types: Vec<String> = alice
        .all_messages(&room, 'f', 50)
        .iter()
        .map(|event| event["type"].as_str().unwrap().to_owned())
        .collect();
    let first = ["m.room.create", "m.room.member", "m.room.power_levels"];
    assert_eq!(types[..3], first);
    let place = |wanted: &str| types.iter().position(|name| name == wanted).unwrap();
    assert!(place("m.room.join_rules") < place("m.room.name"), "{types:?}");
    assert!(place("m.room.history_visibility") < place("m.room.name"), "{types:?}");
    assert!(place("m.room.name") < place("m.room.topic"), "{types:?}");
}

#[test]
fn every_stable_room_version_works() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    for version in 1..=12 {
        let room = alice.create_room(json!({
            "room_version": version.to_string(), "invite": [bob.user_id], "name": format!("v{version}"),
        }));
        assert_eq!(room.contains(':'), version < 12, "the id of a version {version} room: {room}");
        let create = alice.state(&room, "m.room.create", "").ok();
        let said = create["room_version"].as_str().unwrap_or("1");
        assert_eq!(said, version.to_string());
        assert_eq!(create["creator"].is_string(), version < 11, "version {version}: {create}");
        bob.join(&room).ok();
        let sent = bob.send_text(&room, &format!("hello from version {version}"));
        assert_eq!(sent.contains(':'), version < 3, "the event id in version {version}: {sent}");
        assert_eq!(alice.event(&room, &sent).ok()["sender"], bob.user_id);
        alice.redact(&room, &sent, "tested");
        assert_eq!(alice.event(&room, &sent).ok()["content"], json!({}), "version {version}");
    }
}

#[test]
fn what_cannot_be_made_is_refused_and_leaves_nothing() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    alice.post(CREATE, json!({ "room_version": "99" })).error(400, "M_UNSUPPORTED_ROOM_VERSION");
    let local = unique("taken");
    alice.create_room(json!({ "room_alias_name": local }));
    bob.post(CREATE, json!({ "room_alias_name": local })).error(400, "M_ROOM_IN_USE");
    alice.post(CREATE, json!({ "preset": 7 })).error(400, "M_BAD_JSON");
    let powerless = json!({
        "room_version": "11", "name": "x",
        "power_level_content_override": { "users": { bob.user_id.as_str(): 100 } },
    });
    let answer = bob.post(CREATE, json!({ "power_level_content_override": { "users": "none" } }));
    assert!((400..500).contains(&answer.status), "{answer}");
    let answer = alice.post(CREATE, powerless);
    assert!((400..500).contains(&answer.status), "its maker may not name it: {answer}");
    assert_eq!(bob.get("/_matrix/client/v3/joined_rooms").ok()["joined_rooms"], json!([]));
}

#[test]
fn only_administrators_create_rooms_where_users_may_not() {
    let extra = "allow_room_creation = false\n".to_owned();
    let server = Server::start_with(&ServerSettings { extra, ..ServerSettings::default() });
    let (first, bob) = (server.register("first"), server.register("bob"));
    first.create_room(json!({}));
    bob.post(CREATE, json!({})).error(403, "M_FORBIDDEN");
}
