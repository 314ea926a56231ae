//! Key backups, as the specification's endpoints have them.

use serde_json::{Value, json};

use crate::harness::{Client, Server};

const KEYS: &str = "/_matrix/client/v3/room_keys/keys";
const VERSION: &str = "/_matrix/client/v3/room_keys/version";

fn key(first_message_index: u64) -> Value {
    json!({
        "is_verified": true, "forwarded_count": 0, "first_message_index": first_message_index,
        "session_data": { "ciphertext": "c", "ephemeral": "e", "mac": "m" },
    })
}

fn description(key: &str) -> Value {
    json!({ "algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": { "public_key": key, "signatures": {} } })
}

fn create(client: &Client, key: &str) -> String {
    client.post(VERSION, description(key)).ok()["version"].as_str().unwrap().to_owned()
}

#[test]
fn a_backup_is_filled_restored_replaced_and_deleted() {
    let server = Server::start();
    let alice = server.register("alice");
    alice.get(VERSION).error(404, "M_NOT_FOUND");
    let version = create(&alice, "abc");
    let at = |path: &str| format!("{KEYS}{path}?version={version}");
    assert_eq!(alice.get(&at("")).ok(), json!({ "rooms": {} }));
    assert_eq!(alice.get(&at("/!a:x")).ok(), json!({ "sessions": {} }));
    alice.get(&at("/!a:x/s")).error(404, "M_NOT_FOUND");
    let first =
        alice.put(&at(""), json!({ "rooms": { "!a:x": { "sessions": { "s": key(3), "t": key(1) } } } })).ok();
    assert_eq!(first["count"], 2);
    let second = alice.put(&at("/!a:x/s"), key(2)).ok();
    assert_ne!(second["etag"], first["etag"]);
    let third = alice.put(&at("/!b:x"), json!({ "sessions": { "s": key(0) } })).ok();
    assert_eq!(third["count"], 3);
    let rooms = json!({ "!a:x": { "sessions": { "s": key(2), "t": key(1) } }, "!b:x": { "sessions": { "s": key(0) } } });
    assert_eq!(alice.log_in_again().get(&at("")).ok(), json!({ "rooms": rooms }));
    assert_eq!(alice.get(&at("/!b:x/s")).ok(), key(0));
    let mut latest = description("abc");
    latest["version"] = json!(version);
    latest["etag"] = third["etag"].clone();
    latest["count"] = json!(3);
    assert_eq!(alice.get(VERSION).ok(), latest);
    assert_eq!(alice.delete(&at("/!a:x"), None).ok()["count"], 1);

    let newer = create(&alice, "def");
    let refused = alice.put(&at("/!a:x/s"), key(0)).error(403, "M_WRONG_ROOM_KEYS_VERSION");
    assert_eq!(refused["current_version"], newer.as_str());
    let mut other = description("ghi");
    other["version"] = json!("77");
    alice.put(&format!("{VERSION}/{newer}"), other).error(400, "M_INVALID_PARAM");
    alice.put(&format!("{VERSION}/{newer}"), description("ghi")).ok();
    assert_eq!(alice.get(&format!("{VERSION}/{newer}")).ok()["auth_data"]["public_key"], "ghi");
    alice.delete(&format!("{VERSION}/{newer}"), None).ok();
    alice.delete(&format!("{VERSION}/{newer}"), None).ok();
    alice.get(&format!("{VERSION}/{newer}")).error(404, "M_NOT_FOUND");
    assert_eq!(alice.get(VERSION).ok()["version"], version.as_str());
    alice.get(&format!("{KEYS}?version=none")).error(404, "M_NOT_FOUND");
    alice.put(&at("/!a:x/s"), json!({ "session_data": 1 })).error(400, "M_BAD_JSON");
    server.register("bob").get(&at("")).error(404, "M_NOT_FOUND");
}

#[test]
fn keys_are_deleted_one_by_one_and_all_at_once() {
    let server = Server::start();
    let alice = server.register("alice");
    let version = create(&alice, "abc");
    let at = |path: &str| format!("{KEYS}{path}?version={version}");
    alice.put(&at(""), json!({ "rooms": { "!a:x": { "sessions": { "s": key(3), "t": key(1) } } } })).ok();
    assert_eq!(alice.delete(&at("/!a:x/s"), None).ok()["count"], 1);
    alice.get(&at("/!a:x/s")).error(404, "M_NOT_FOUND");
    assert_eq!(alice.delete(&at(""), None).ok()["count"], 0);
    assert_eq!(alice.get(&at("")).ok(), json!({ "rooms": {} }));
    alice.delete(&format!("{KEYS}?version=77"), None).error(404, "M_NOT_FOUND");
}
