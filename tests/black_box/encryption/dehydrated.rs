//! Dehydrated devices (MSC3814): what is sent to a device that nobody is logged in with waits for its user.

use serde_json::{Value, json};

use crate::harness::Server;

const PATH: &str = "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device";

fn device(user_id: &str, device_id: &str) -> Value {
    json!({
        "device_id": device_id,
        "device_data": { "algorithm": "org.matrix.msc3814.v2", "device_pickle": "p", "nonce": "n" },
        "initial_device_display_name": "Dehydrated",
        "device_keys": {
            "user_id": user_id, "device_id": device_id, "dehydrated": true, "algorithms": [], "keys": {},
            "signatures": {},
        },
        "one_time_keys": { "signed_curve25519:O": { "key": "once", "signatures": {} } },
        "fallback_keys": { "signed_curve25519:F": { "key": "fallback", "fallback": true, "signatures": {} } },
    })
}

#[test]
fn a_dehydrated_device_is_written_to_read_replaced_and_deleted() {
    let server = Server::start();
    let versions = server.anonymous().get("/_matrix/client/versions").ok();
    assert_eq!(versions["unstable_features"]["org.matrix.msc3814"], true);
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let user = alice.user_id.as_str();
    alice.get(PATH).error(404, "M_NOT_FOUND");
    alice.delete(PATH, None).error(404, "M_NOT_FOUND");
    alice.put(PATH, device(user, &alice.device_id)).error(400, "M_INVALID_PARAM");
    alice.put(PATH, device(&bob.user_id, "DRY")).error(400, "M_INVALID_PARAM");
    assert_eq!(alice.put(PATH, device(user, "DRY")).ok(), json!({ "device_id": "DRY" }));
    let found = alice.get(PATH).ok();
    assert_eq!((&found["device_id"], &found["device_data"]["nonce"]), (&json!("DRY"), &json!("n")));
    bob.get(PATH).error(404, "M_NOT_FOUND");

    let known = bob.post("/_matrix/client/v3/keys/query", json!({ "device_keys": { user: [] } })).ok();
    assert_eq!(known["device_keys"][user]["DRY"]["dehydrated"], true);
    let claim = json!({ "one_time_keys": { user: { "DRY": "signed_curve25519" } } });
    for name in ["signed_curve25519:O", "signed_curve25519:F", "signed_curve25519:F"] {
        let claimed = bob.post("/_matrix/client/v3/keys/claim", claim.clone()).ok();
        assert!(claimed["one_time_keys"][user]["DRY"][name].is_object(), "{claimed}");
    }

    for n in 0..3 {
        let message = json!({ "messages": { user: { "DRY": { "n": n } } } });
        bob.put(&format!("/_matrix/client/v3/sendToDevice/m.x/t{n}"), message).ok();
    }
    let events = format!("{PATH}/DRY/events");
    let numbers = |answer: &Value| {
        answer["events"].as_array().unwrap().iter().map(|it| it["content"]["n"].clone()).collect()
    };
    let posted: Vec<Value> = numbers(&alice.post(&events, json!({})).ok());
    let got = alice.get(&events).ok();
    assert_eq!(posted, [0, 1, 2], "reading deletes nothing");
    assert_eq!((numbers(&got), got.get("next_batch")), (posted, None), "and there are no more");
    let first = alice.post(&events, json!({})).ok();
    let rest = alice.post(&events, json!({ "next_batch": first["next_batch"] })).ok();
    assert_eq!(rest["events"], json!([]));
    alice.get(&format!("{events}?from=soon")).error(400, "M_INVALID_PARAM");
    alice.get(&format!("{PATH}/{}/events", alice.device_id)).error(403, "M_FORBIDDEN");
    bob.get(&events).error(403, "M_FORBIDDEN");

    alice.put(PATH, device(user, "NEXT")).ok();
    alice.get(&events).error(403, "M_FORBIDDEN");
    alice.get("/_matrix/client/v3/devices/DRY").error(404, "M_NOT_FOUND");
    assert_eq!(alice.get(&format!("{PATH}/NEXT/events")).ok()["events"], json!([]));
    assert_eq!(alice.delete(PATH, None).ok(), json!({ "device_id": "NEXT" }));
    alice.get(PATH).error(404, "M_NOT_FOUND");
}

#[test]
fn it_outlives_a_crash_with_what_it_was_sent() {
    let mut server = Server::start();
    let alice = server.register("alice");
    let user = alice.user_id.as_str();
    alice.put(PATH, device(user, "DRY")).ok();
    let message = json!({ "messages": { user: { "*": { "n": 1 } } } });
    alice.put("/_matrix/client/v3/sendToDevice/m.x/t", message).ok();
    server.kill();
    server.assert_check_finds_nothing();
    server.restart();
    let alice = alice.moved_to(server.base_url());
    assert_eq!(alice.get(PATH).ok()["device_id"], "DRY");
    assert_eq!(alice.get(&format!("{PATH}/DRY/events")).ok()["events"][0]["content"]["n"], 1);
}
