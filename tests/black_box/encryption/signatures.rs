//! Signatures on keys, and whose keys changed.

use serde_json::json;

use crate::harness::{Client, Server};

fn upload_device_keys(client: &Client) {
    let keys = json!({ "device_keys": {
        "user_id": client.user_id, "device_id": client.device_id,
        "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
        "keys": {
            format!("curve25519:{}", client.device_id): "k1",
            format!("ed25519:{}", client.device_id): "k2",
        },
        "signatures": { &client.user_id: { format!("ed25519:{}", client.device_id): "s" } },
    } });
    client.post("/_matrix/client/v3/keys/upload", keys).ok();
}

#[test]
fn whose_keys_changed_between_two_syncs_is_told() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    alice.create_room_with(&[&bob]);
    let sync = |client: &Client| {
        let answer = client.get("/_matrix/client/v3/sync?timeout=0").ok();
        answer["next_batch"].as_str().unwrap().to_owned()
    };
    let from = sync(&alice);
    upload_device_keys(&bob);
    let to = sync(&alice);
    let changes =
        |from: &str, to: &str| alice.get(&format!("/_matrix/client/v3/keys/changes?from={from}&to={to}"));
    assert_eq!(changes(&from, &to).ok()["changed"], json!([bob.user_id]));
    assert_eq!(changes(&to, &to).ok()["changed"], json!([]));
    let refused = changes("nonsense", &to);
    assert_eq!(refused.status, 400, "{refused}");
}

#[test]
fn signatures_that_do_not_fit_are_told() {
    let server = Server::start();
    let alice = server.register("alice");
    upload_device_keys(&alice);
    let signed = json!({ &alice.user_id: { &alice.device_id: {
        "user_id": alice.user_id, "device_id": alice.device_id, "algorithms": [], "keys": {},
        "signatures": { &alice.user_id: { "ed25519:nobody": "abc" } },
    } } });
    let answer = alice.post("/_matrix/client/v3/keys/signatures/upload", signed).ok();
    let failure = &answer["failures"][&alice.user_id][&alice.device_id];
    assert!(failure["errcode"].is_string(), "{answer}");
}
