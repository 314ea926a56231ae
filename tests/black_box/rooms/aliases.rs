//! Room aliases.

use serde_json::json;

use crate::harness::{Client, Server, path_segment, unique};

fn alias_path(alias: &str) -> String {
    format!("/_matrix/client/v3/directory/room/{}", path_segment(alias))
}

fn new_alias() -> String {
    format!("#{}:localhost", unique("alias"))
}

#[test]
fn an_alias_is_made_found_and_removed() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    let alias = new_alias();
    bob.get(&alias_path(&alias)).error(404, "M_NOT_FOUND");
    alice.put(&alias_path(&alias), json!({ "room_id": room })).ok();
    let found = bob.with_token(None).get(&alias_path(&alias)).ok();
    assert_eq!(found["room_id"], room);
    assert!(found["servers"].as_array().unwrap().contains(&json!("localhost")), "{found}");
    assert_eq!(alice.put(&alias_path(&alias), json!({ "room_id": room })).status, 409);
    let aliases = alice.get(&Client::room_path(&room, "aliases")).ok();
    assert_eq!(aliases["aliases"], json!([alias]));
    let refused = bob.delete(&alias_path(&alias), None);
    refused.error(403, "M_FORBIDDEN");
    alice.delete(&alias_path(&alias), None).ok();
    bob.get(&alias_path(&alias)).error(404, "M_NOT_FOUND");
    alice.delete(&alias_path(&alias), None).error(404, "M_NOT_FOUND");
    assert_eq!(alice.get(&Client::room_path(&room, "aliases")).ok()["aliases"], json!([]));
}

#[test]
fn malformed_and_foreign_aliases_are_refused() {
    let server = Server::start();
    let alice = server.register("alice");
    let room = alice.create_room(json!({}));
    let put = |alias: &str| alice.put(&alias_path(alias), json!({ "room_id": room }));
    put("no-sigil:localhost").error(400, "M_INVALID_PARAM");
    let foreign = put("#alias:elsewhere.example");
    assert!((400..500).contains(&foreign.status), "{foreign}");
    assert!(foreign.errcode().is_some(), "{foreign}");
}

#[test]
fn a_canonical_alias_must_point_here() {
    let server = Server::start();
    let alice = server.register("alice");
    let room = alice.create_room(json!({}));
    let other = alice.create_room(json!({}));
    let (mine, foreign) = (new_alias(), new_alias());
    alice.put(&alias_path(&mine), json!({ "room_id": room })).ok();
    alice.put(&alias_path(&foreign), json!({ "room_id": other })).ok();
    let set = |content| alice.set_state(&room, "m.room.canonical_alias", "", content);
    set(json!({ "alias": foreign })).error(400, "M_BAD_ALIAS");
    set(json!({ "alias": new_alias() })).error(400, "M_BAD_ALIAS");
    set(json!({ "alias": mine, "alt_aliases": [foreign] })).error(400, "M_BAD_ALIAS");
    set(json!({ "alias": "nonsense" })).error(400, "M_INVALID_PARAM");
    set(json!({ "alias": mine })).ok();
}
