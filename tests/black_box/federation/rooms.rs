//! Rooms across servers: joining, inviting, knocking and leaving, through the servers' own handshakes.

use serde_json::{Value, json};

use crate::harness::{Answer, Client, Federation, path_segment, unique};

/// Versions that differ in what these handshakes carry: event ids, reference forms, restricted joins, room ids.
const VERSIONS: [&str; 4] = ["1", "6", "10", "12"];

fn join_via(client: &Client, room: &str, via: &str) -> Answer {
    let path = format!("/_matrix/client/v3/join/{}?via={}", path_segment(room), path_segment(via));
    client.post(&path, json!({}))
}

fn knock_via(client: &Client, room: &str, via: &str) -> Answer {
    let path = format!("/_matrix/client/v3/knock/{}?via={}", path_segment(room), path_segment(via));
    client.post(&path, json!({ "reason": "please" }))
}

#[track_caller]
fn membership(client: &Client, room: &str, user: &str) -> Value {
    client.state(room, "m.room.member", user).ok()["membership"].clone()
}

/// The invite or knock that a client is shown, by the types of its state.
fn shown_types(client: &Client, section: &str, state: &str, room: &str) -> Vec<String> {
    let sync = client.sync(None, "");
    let events = sync.body["rooms"][section][room][state]["events"].as_array().cloned().unwrap_or_default();
    events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_room_of_another_server_is_joined_in_every_kind_of_version() {
    let federation = Federation::pair();
    let (alice, bob) = (federation.register(0, "alice"), federation.register(1, "bob"));
    let here = &federation.server(0).name;
    for version in VERSIONS {
        let room = alice.create_room(json!({
            "preset": "public_chat", "room_version": version, "name": "Tea",
        }));
        join_via(&bob, &room, here).ok();
        assert_eq!(bob.state(&room, "m.room.name", "").ok()["name"], "Tea", "{version}");
        assert_eq!(membership(&bob, &room, &alice.user_id), "join", "{version}");
        assert_eq!(membership(&alice, &room, &bob.user_id), "join", "{version}");
        let sync = bob.sync(None, "");
        assert!(sync.body["rooms"]["join"][&room].is_object(), "{version}: {}", sync.body);
        // A second user of the server joins from there, and the first comes back.
        let carol = federation.register(1, "carol");
        carol.join(&room).ok();
        assert_eq!(membership(&bob, &room, &carol.user_id), "join", "{version}");
    }
}

#[test]
fn an_alias_of_another_server_leads_into_its_room() {
    let federation = Federation::pair();
    let (alice, bob) = (federation.register(0, "alice"), federation.register(1, "bob"));
    let name = unique("tea");
    let room = alice.create_room(json!({ "preset": "public_chat", "room_alias_name": name }));
    let alias = format!("#{name}:{}", federation.server(0).name);
    let directory = format!("/_matrix/client/v3/directory/room/{}", path_segment(&alias));
    assert_eq!(bob.get(&directory).ok()["room_id"], room.as_str());
    let joined = bob.post(&format!("/_matrix/client/v3/join/{}", path_segment(&alias)), json!({})).ok();
    assert_eq!(joined["room_id"], room.as_str());
    let unknown = format!("#{}:{}", unique("none"), federation.server(0).name);
    let directory = format!("/_matrix/client/v3/directory/room/{}", path_segment(&unknown));
    bob.get(&directory).error(404, "M_NOT_FOUND");
}

#[test]
fn an_invite_goes_to_another_server_and_is_taken_or_declined() {
    let federation = Federation::pair();
    let (alice, bob) = (federation.register(0, "alice"), federation.register(1, "bob"));
    for version in VERSIONS {
        let body = json!({ "preset": "private_chat", "room_version": version, "name": "Tea", "invite": [bob.user_id] });
        let room = alice.create_room(body);
        assert_eq!(membership(&alice, &room, &bob.user_id), "invite", "{version}");
        let types = shown_types(&bob, "invite", "invite_state", &room);
        for wanted in ["m.room.name", "m.room.join_rules", "m.room.create", "m.room.member"] {
            assert!(types.iter().any(|found| found == wanted), "{version}: {types:?}");
        }
        bob.join(&room).ok();
        assert_eq!(membership(&alice, &room, &bob.user_id), "join", "{version}");
        assert_eq!(membership(&bob, &room, &alice.user_id), "join", "{version}");

        let room = alice.create_room(json!({ "preset": "private_chat", "room_version": version }));
        for _ in 0..2 {
            alice.moderate("invite", &room, &bob.user_id).ok();
            bob.leave(&room).ok();
            assert_eq!(membership(&alice, &room, &bob.user_id), "leave", "{version}");
            assert!(shown_types(&bob, "invite", "invite_state", &room).is_empty(), "{version}");
        }
    }
}

#[test]
fn an_invite_whose_server_is_gone_is_dismissed() {
    let mut federation = Federation::pair();
    let (alice, bob) = (federation.register(0, "alice"), federation.register(1, "bob"));
    let room = alice.create_room(json!({ "preset": "private_chat", "invite": [bob.user_id] }));
    assert!(!shown_types(&bob, "invite", "invite_state", &room).is_empty());
    federation.server_mut(0).stop();
    bob.leave(&room).ok();
    assert!(shown_types(&bob, "invite", "invite_state", &room).is_empty());
}

#[test]
fn who_may_not_come_in_is_told_so() {
    let federation = Federation::pair();
    let (alice, bob) = (federation.register(0, "alice"), federation.register(1, "bob"));
    let here = &federation.server(0).name;
    let room = alice.create_room(json!({ "preset": "private_chat" }));
    join_via(&bob, &room, here).error(403, "M_FORBIDDEN");
    let room = alice.create_room(json!({ "preset": "public_chat" }));
    alice.moderate("ban", &room, &bob.user_id).ok();
    join_via(&bob, &room, here).error(403, "M_FORBIDDEN");
    join_via(&bob, "!unknown:example.org", here).error(404, "M_NOT_FOUND");
    let body = json!({ "preset": "public_chat", "creation_content": { "m.federate": false } });
    let room = alice.create_room(body);
    join_via(&bob, &room, here).error(403, "M_FORBIDDEN");
    let room = alice.create_room(json!({ "preset": "public_chat" }));
    // An access control list names servers without their ports, and both are `localhost` here.
    let acl = json!({ "allow": ["*"], "deny": ["localhost"] });
    alice.set_state(&room, "m.room.server_acl", "", acl).ok();
    join_via(&bob, &room, here).error(403, "M_FORBIDDEN");
}

#[test]
fn restricted_rooms_let_members_of_the_other_room_in() {
    let federation = Federation::pair();
    let (alice, bob) = (federation.register(0, "alice"), federation.register(1, "bob"));
    let here = &federation.server(0).name;
    for version in ["8", "10", "12"] {
        let space = alice.create_room(json!({ "preset": "public_chat" }));
        let allow = json!([{ "type": "m.room_membership", "room_id": space, "via": [here] }]);
        let rules = json!({ "join_rule": "restricted", "allow": allow });
        let room = alice.create_room(json!({
            "preset": "public_chat", "room_version": version,
            "initial_state": [{ "type": "m.room.join_rules", "content": rules }],
        }));
        let refused = join_via(&bob, &room, here);
        assert_eq!(refused.status, 403, "{version}: {refused}");
        join_via(&bob, &space, here).ok();
        join_via(&bob, &room, here).ok();
        let member = alice.state(&room, "m.room.member", &bob.user_id).ok();
        assert_eq!(member["join_authorised_via_users_server"], alice.user_id.as_str(), "{version}");
        assert_eq!(bob.state(&room, "m.room.member", &bob.user_id).ok(), member, "{version}");
    }
}

#[test]
fn a_knock_reaches_the_room_and_can_be_answered_or_taken_back() {
    let federation = Federation::pair();
    let (alice, bob) = (federation.register(0, "alice"), federation.register(1, "bob"));
    let here = &federation.server(0).name;
    for version in ["7", "10", "12"] {
        let room = alice.create_room(json!({
            "preset": "private_chat", "room_version": version, "name": "Tea",
        }));
        knock_via(&bob, &room, here).error(403, "M_FORBIDDEN");
        alice.set_state(&room, "m.room.join_rules", "", json!({ "join_rule": "knock" })).ok();
        knock_via(&bob, &room, here).ok();
        let member = alice.state(&room, "m.room.member", &bob.user_id).ok();
        assert_eq!(
            (&member["membership"], &member["reason"]),
            (&json!("knock"), &json!("please")),
            "{version}"
        );
        let types = shown_types(&bob, "knock", "knock_state", &room);
        assert!(types.iter().any(|found| found == "m.room.name"), "{version}: {types:?}");

        bob.leave(&room).ok();
        assert_eq!(membership(&alice, &room, &bob.user_id), "leave", "{version}");
        knock_via(&bob, &room, here).ok();
        alice.moderate("invite", &room, &bob.user_id).ok();
        bob.join(&room).ok();
        assert_eq!(membership(&alice, &room, &bob.user_id), "join", "{version}");
    }
}

#[test]
fn invites_from_elsewhere_are_limited_for_who_is_invited() {
    let mut federation = Federation::pair();
    let (alice, bob) = (federation.register(0, "alice"), federation.register(1, "bob"));
    let server = federation.server_mut(1);
    server.stop();
    let limits = "rate_limits.invite = { per_second = 0.001, burst = 2 }\nrate_limits.enabled = true\n";
    let config = std::fs::read_to_string(server.config_path()).unwrap();
    std::fs::write(server.config_path(), config.replace("[rate_limits]\nenabled = false\n", limits)).unwrap();
    server.restart();
    let rooms = [(); 3].map(|()| alice.create_room(json!({ "preset": "private_chat" })));
    alice.moderate("invite", &rooms[0], &bob.user_id).ok();
    alice.moderate("invite", &rooms[1], &bob.user_id).ok();
    alice.moderate("invite", &rooms[2], &bob.user_id).error(403, "M_FORBIDDEN");
    alice.state(&rooms[2], "m.room.member", &bob.user_id).error(404, "M_NOT_FOUND");
}
