//! Invites, joins, kicks, bans, leaving and forgetting.

use serde_json::{Value, json};

use crate::harness::{Client, Server, path_segment, unique};

fn membership(client: &Client, room: &str, user: &Client) -> Value {
    client.state(room, "m.room.member", &user.user_id).ok()["membership"].clone()
}

fn joined_rooms(client: &Client) -> Vec<Value> {
    client.get("/_matrix/client/v3/joined_rooms").ok()["joined_rooms"].as_array().unwrap().clone()
}

#[test]
fn a_private_room_is_joined_by_invite_only() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room(json!({ "preset": "private_chat" }));
    bob.join(&room).error(403, "M_FORBIDDEN");
    alice.moderate("invite", &room, &bob.user_id).ok();
    assert_eq!(membership(&alice, &room, &bob), "invite");
    let joined = bob.join(&room).ok();
    assert_eq!(joined["room_id"], room);
    assert_eq!(membership(&alice, &room, &bob), "join");
    bob.join(&room).ok();
    assert_eq!(joined_rooms(&bob), [json!(room)]);
}

#[test]
fn an_invite_comes_down_sync_with_the_rooms_face() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room(json!({ "name": "Invited", "preset": "private_chat" }));
    let since = bob.sync(None, "").next_batch().to_owned();
    let reason = json!({ "user_id": bob.user_id, "reason": "come in" });
    alice.post(&Client::room_path(&room, "invite"), reason).ok();
    let update = bob.sync_until(&since, |sync| !sync.body["rooms"]["invite"][&room].is_null());
    let events = update.body["rooms"]["invite"][&room]["invite_state"]["events"].as_array().unwrap().clone();
    let stripped = |event_type: &str, key: &str| {
        let found = events.iter().find(|event| event["type"] == event_type && event["state_key"] == key);
        found.unwrap_or_else(|| panic!("{event_type} in {events:?}")).clone()
    };
    assert_eq!(stripped("m.room.name", "")["content"]["name"], "Invited");
    assert_eq!(stripped("m.room.join_rules", "")["content"]["join_rule"], "invite");
    assert_eq!(stripped("m.room.create", "")["sender"], alice.user_id);
    let member = stripped("m.room.member", &bob.user_id);
    assert_eq!(member["content"]["membership"], "invite");
    assert_eq!(member["content"]["reason"], "come in");
    assert_eq!(member["sender"], alice.user_id);
    // An initial sync shows it too, and an invited user reads nothing else.
    assert!(!bob.sync(None, "").body["rooms"]["invite"][&room].is_null());
    bob.messages(&room, "dir=b").error(403, "M_FORBIDDEN");
}

#[test]
fn an_invite_is_turned_down_and_withdrawn() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room(json!({}));
    alice.moderate("invite", &room, &bob.user_id).ok();
    let since = bob.sync(None, "").next_batch().to_owned();
    bob.leave(&room).ok();
    assert_eq!(membership(&alice, &room, &bob), "leave");
    bob.join(&room).error(403, "M_FORBIDDEN");
    bob.sync_until(&since, |sync| !sync.body["rooms"]["leave"][&room].is_null());
    assert!(bob.sync(None, "").body["rooms"]["invite"][&room].is_null());
    alice.moderate("invite", &room, &bob.user_id).ok();
    alice.moderate("kick", &room, &bob.user_id).ok();
    bob.join(&room).error(403, "M_FORBIDDEN");
}

#[test]
fn kick_and_ban_and_back() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    let kick = json!({ "user_id": bob.user_id, "reason": "too loud" });
    alice.post(&Client::room_path(&room, "kick"), kick).ok();
    let member = alice.state(&room, "m.room.member", &bob.user_id).ok();
    assert_eq!(member["membership"], "leave");
    assert_eq!(member["reason"], "too loud");
    bob.send(&room, "m.room.message", "t1", json!({ "body": "x" })).error(403, "M_FORBIDDEN");
    bob.join(&room).ok();
    alice.moderate("ban", &room, &bob.user_id).ok();
    assert_eq!(membership(&alice, &room, &bob), "ban");
    bob.join(&room).error(403, "M_FORBIDDEN");
    alice.moderate("invite", &room, &bob.user_id).error(403, "M_FORBIDDEN");
    alice.moderate("unban", &room, &bob.user_id).ok();
    assert_eq!(membership(&alice, &room, &bob), "leave");
    bob.join(&room).ok();
}

#[test]
fn those_without_power_do_not_moderate() {
    let server = Server::start();
    let (alice, bob, carol) = (server.register("alice"), server.register("bob"), server.register("carol"));
    let room = alice.create_room_with(&[&bob, &carol]);
    bob.moderate("kick", &room, &carol.user_id).error(403, "M_FORBIDDEN");
    bob.moderate("ban", &room, &alice.user_id).error(403, "M_FORBIDDEN");
    alice.moderate("ban", &room, &carol.user_id).ok();
    bob.moderate("unban", &room, &carol.user_id).error(403, "M_FORBIDDEN");
    let stranger = format!("@{}:localhost", unique("stranger"));
    let kick = alice.moderate("kick", &room, &stranger);
    assert_eq!(kick.status, 403, "who is not there cannot be kicked: {kick}");
    let answer = bob.set_state(&room, "m.room.member", &alice.user_id, json!({ "membership": "leave" }));
    answer.error(403, "M_FORBIDDEN");
}

#[test]
fn strangers_do_nothing_in_a_room() {
    let server = Server::start();
    let (alice, bob, carol) = (server.register("alice"), server.register("bob"), server.register("carol"));
    let room = alice.create_room(json!({ "preset": "private_chat" }));
    let event = alice.send_text(&room, "secret");
    bob.moderate("invite", &room, &carol.user_id).error(403, "M_FORBIDDEN");
    bob.send(&room, "m.room.message", "t", json!({ "body": "x" })).error(403, "M_FORBIDDEN");
    bob.set_state(&room, "m.room.name", "", json!({ "name": "x" })).error(403, "M_FORBIDDEN");
    bob.state(&room, "m.room.name", "").error(403, "M_FORBIDDEN");
    bob.get(&Client::room_path(&room, "state")).error(403, "M_FORBIDDEN");
    bob.get(&Client::room_path(&room, "members")).error(403, "M_FORBIDDEN");
    bob.get(&Client::room_path(&room, "joined_members")).error(403, "M_FORBIDDEN");
    bob.messages(&room, "dir=b").error(403, "M_FORBIDDEN");
    let read = bob.event(&room, &event);
    assert!(read.status == 404 || read.status == 403, "{read}");
    let context = bob.get(&Client::room_path(&room, &format!("context/{}", path_segment(&event))));
    assert!(context.status == 404 || context.status == 403, "{context}");
    bob.leave(&room).error(403, "M_FORBIDDEN");
}

#[test]
fn leaving_keeps_the_past_and_forgetting_drops_it() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    alice.send_text(&room, "before");
    bob.post(&Client::room_path(&room, "forget"), json!({})).error(400, "M_UNKNOWN");
    bob.leave(&room).ok();
    alice.send_text(&room, "after");
    assert_eq!(bob.all_texts(&room), ["before"]);
    assert!(joined_rooms(&bob).is_empty());
    bob.post(&Client::room_path(&room, "forget"), json!({})).ok();
    bob.messages(&room, "dir=b").error(403, "M_FORBIDDEN");
    let sync = bob.sync(None, &Client::filter_query(&json!({ "room": { "include_leave": true } })));
    assert!(sync.body["rooms"]["leave"][&room].is_null(), "{}", sync.body);
}

#[test]
fn knocking_and_restricted_rooms_follow_their_rules() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let hall = alice.create_room(json!({ "preset": "public_chat" }));
    let rule = json!({
        "join_rule": "restricted", "allow": [{ "type": "m.room_membership", "room_id": hall }],
    });
    let initial = json!([{ "type": "m.room.join_rules", "state_key": "", "content": rule }]);
    let room = alice.create_room(json!({ "initial_state": initial }));
    bob.join(&room).error(403, "M_FORBIDDEN");
    bob.join(&hall).ok();
    bob.join(&room).ok();
    let member = alice.state(&room, "m.room.member", &bob.user_id).ok();
    assert_eq!(member["join_authorised_via_users_server"], alice.user_id);
}

#[test]
fn members_are_listed_by_membership() {
    let server = Server::start();
    let (alice, bob, carol) = (server.register("alice"), server.register("bob"), server.register("carol"));
    let room = alice.create_room_with(&[&bob]);
    alice.moderate("invite", &room, &carol.user_id).ok();
    bob.leave(&room).ok();
    let list = |query: &str| {
        let answer = alice.get(&Client::room_path(&room, &format!("members{query}"))).ok();
        let mut keys: Vec<String> = answer["chunk"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["state_key"].as_str().unwrap().to_owned())
            .collect();
        keys.sort();
        keys
    };
    let sorted = |users: &[&Client]| {
        let mut ids: Vec<String> = users.iter().map(|user| user.user_id.clone()).collect();
        ids.sort();
        ids
    };
    assert_eq!(list(""), sorted(&[&alice, &bob, &carol]));
    assert_eq!(list("?membership=join"), sorted(&[&alice]));
    assert_eq!(list("?membership=invite"), sorted(&[&carol]));
    assert_eq!(list("?not_membership=leave"), sorted(&[&alice, &carol]));
    let joined = alice.get(&Client::room_path(&room, "joined_members")).ok()["joined"].clone();
    let ids: Vec<&String> = joined.as_object().unwrap().keys().collect();
    assert_eq!(ids, [&alice.user_id]);
}

#[test]
fn a_room_is_joined_by_alias_and_by_id() {
    let server = Server::start();
    let (alice, bob, carol) = (server.register("alice"), server.register("bob"), server.register("carol"));
    let local = unique("room");
    let room = alice.create_room(json!({ "preset": "public_chat", "room_alias_name": local }));
    let join = |client: &Client, target: &str| {
        client.post(&format!("/_matrix/client/v3/join/{}", path_segment(target)), json!({}))
    };
    assert_eq!(join(&bob, &format!("#{local}:localhost")).ok()["room_id"], room);
    assert_eq!(join(&carol, &room).ok()["room_id"], room);
    join(&bob, &format!("#{}:localhost", unique("nowhere"))).error(404, "M_NOT_FOUND");
}
