//! Encryption across servers: device lists, messages to devices, keys that are asked for and claimed.

use serde_json::{Value, json};

use crate::harness::{Client, Federation, SyncResult, path_segment};

/// Identity keys of the client's device. The server does not check what they are signed with.
fn upload_keys(client: &Client) {
    let id = &client.device_id;
    let keys = json!({
        "user_id": client.user_id, "device_id": id,
        "algorithms": ["m.olm.v1.curve25519-aes-sha2"],
        "keys": { (format!("ed25519:{id}")): format!("identity of {id}") },
        "signatures": {},
    });
    client.post("/_matrix/client/v3/keys/upload", json!({ "device_keys": keys })).ok();
}

/// What `viewer` is told of the keys of `owner`.
fn query(viewer: &Client, owner: &Client) -> Value {
    let answer =
        viewer.post("/_matrix/client/v3/keys/query", json!({ "device_keys": { &owner.user_id: [] } })).ok();
    assert!(answer["failures"].as_object().is_none_or(serde_json::Map::is_empty), "{answer}");
    answer
}

fn device_ids(viewer: &Client, owner: &Client) -> Vec<String> {
    let answer = query(viewer, owner);
    answer["device_keys"][&owner.user_id].as_object().unwrap().keys().cloned().collect()
}

/// Whether a sync says that the user's devices changed.
fn tells_of(sync: &SyncResult, user: &Client) -> bool {
    let changed = sync.body["device_lists"]["changed"].as_array();
    changed.is_some_and(|changed| changed.contains(&json!(user.user_id)))
}

/// Waits until `viewer` is told of `owner`'s devices; where to go on.
#[track_caller]
fn told(viewer: &Client, since: &str, owner: &Client) -> String {
    viewer.sync_until(since, |sync| tells_of(sync, owner)).next_batch().to_owned()
}

fn send_to_device(from: &Client, to: &Client, device: &str, number: u64) {
    let path = format!("/_matrix/client/v3/sendToDevice/org.example.test/{number}");
    let content = json!({ "messages": { &to.user_id: { device: { "n": number } } } });
    from.put(&path, content).ok();
}

/// Alice on the first server and Bob on the second, in a room.
fn alice_and_bob(federation: &Federation) -> (Client, Client) {
    let (alice, bob) = (federation.register(0, "alice"), federation.register(1, "bob"));
    let room = alice.create_room(json!({ "preset": "public_chat" }));
    let via = path_segment(&federation.server(0).name);
    bob.post(&format!("/_matrix/client/v3/join/{}?via={via}", path_segment(&room)), json!({})).ok();
    (alice, bob)
}

#[test]
fn device_lists_are_told_and_kept() {
    let mut federation = Federation::pair();
    let (alice, bob) = alice_and_bob(&federation);
    let since = bob.sync(None, "").next_batch().to_owned();
    upload_keys(&alice);
    let since = told(&bob, &since, &alice);
    assert_eq!(device_ids(&bob, &alice), [alice.device_id.clone()]);

    // From here on the list is kept: what changes is told, and nothing need be asked.
    let second = alice.log_in_again();
    upload_keys(&second);
    let since = told(&bob, &since, &alice);
    assert_eq!(device_ids(&bob, &alice).len(), 2);
    second.post("/_matrix/client/v3/logout", json!({})).ok();
    let since = told(&bob, &since, &alice);
    let master = "nqOvzeuGWT/sRx3h7+MHoInYj3Uk2LD/unI9kDYcHwk";
    let key = json!({
        "user_id": alice.user_id, "usage": ["master"], "keys": { (format!("ed25519:{master}")): master },
    });
    alice.post("/_matrix/client/v3/keys/device_signing/upload", json!({ "master_key": key })).ok();
    told(&bob, &since, &alice);
    federation.server_mut(0).stop();
    let answer = query(&bob, &alice);
    let devices = answer["device_keys"][&alice.user_id].as_object().unwrap();
    assert_eq!(devices.keys().collect::<Vec<_>>(), [&alice.device_id]);
    assert_eq!(answer["master_keys"][&alice.user_id]["keys"][format!("ed25519:{master}")], master);
    federation.server_mut(1).stop();
    federation.server(1).assert_check_finds_nothing();
    federation.server(0).assert_check_finds_nothing();
}

#[test]
fn changes_reach_a_server_that_was_away_in_their_order() {
    let mut federation = Federation::pair();
    let (alice, bob) = alice_and_bob(&federation);
    let since = bob.sync(None, "").next_batch().to_owned();
    upload_keys(&alice);
    let since = told(&bob, &since, &alice);
    device_ids(&bob, &alice);
    federation.server_mut(1).stop();
    let second = alice.log_in_again();
    upload_keys(&second);
    for number in 0..3 {
        send_to_device(&alice, &bob, "*", number);
    }
    federation.server_mut(1).restart();
    let bob = bob.moved_to(federation.server(1).base_url());
    // It shows that it is back by saying something.
    send_to_device(&bob, &alice, "*", 9);
    let mut numbers = Vec::new();
    let mut is_told = false;
    let mut since = since;
    while numbers.len() < 3 || !is_told {
        let sync = bob
            .sync_until(&since, |sync| tells_of(sync, &alice) || sync.body["to_device"]["events"].is_array());
        since = sync.next_batch().to_owned();
        is_told |= tells_of(&sync, &alice);
        let events = sync.body["to_device"]["events"].as_array().cloned().unwrap_or_default();
        numbers.extend(events.iter().map(|event| event["content"]["n"].as_u64().unwrap()));
    }
    assert_eq!(numbers, [0, 1, 2]);
    assert_eq!(device_ids(&bob, &alice).len(), 2);
}

#[test]
fn messages_to_devices_cross_servers_both_ways() {
    let federation = Federation::pair();
    let (alice, bob) = alice_and_bob(&federation);
    let phone = bob.log_in_again();
    for (from, to) in [(&alice, &bob), (&bob, &alice)] {
        let since = to.sync(None, "").next_batch().to_owned();
        let phone_since = phone.sync(None, "").next_batch().to_owned();
        send_to_device(from, to, &to.device_id, 1);
        let got = to.sync_until(&since, |sync| sync.body["to_device"]["events"].is_array());
        let event = &got.body["to_device"]["events"][0];
        assert_eq!(event["sender"], from.user_id.as_str());
        assert_eq!((&event["type"], &event["content"]), (&json!("org.example.test"), &json!({ "n": 1 })));
        let other = phone.sync(Some(&phone_since), "");
        assert!(other.body["to_device"].is_null(), "it was for one device: {}", other.body);
    }
    let since = phone.sync(None, "").next_batch().to_owned();
    send_to_device(&alice, &bob, "*", 2);
    let got = phone.sync_until(&since, |sync| sync.body["to_device"]["events"].is_array());
    assert_eq!(got.body["to_device"]["events"][0]["content"]["n"], 2);
}

#[test]
fn keys_of_another_servers_user_are_claimed_once_each() {
    let federation = Federation::pair();
    let (alice, bob) = alice_and_bob(&federation);
    upload_keys(&alice);
    let key = |name: &str| json!({ "key": name, "signatures": {} });
    let keys = json!({ "signed_curve25519:A": key("a"), "signed_curve25519:B": key("b") });
    alice.post("/_matrix/client/v3/keys/upload", json!({ "one_time_keys": keys })).ok();
    assert_eq!(device_ids(&bob, &alice), [alice.device_id.clone()]);
    let wanted = json!({ &alice.user_id: { &alice.device_id: "signed_curve25519" } });
    let mut claimed: Vec<String> = Vec::new();
    for _ in 0..3 {
        let body = json!({ "one_time_keys": wanted });
        let answer = bob.post("/_matrix/client/v3/keys/claim", body).ok();
        assert!(answer["failures"].as_object().is_none_or(serde_json::Map::is_empty), "{answer}");
        let keys = answer["one_time_keys"][&alice.user_id][&alice.device_id].as_object();
        claimed.extend(keys.into_iter().flat_map(|keys| keys.keys().cloned()));
    }
    claimed.sort();
    assert_eq!(claimed, ["signed_curve25519:A", "signed_curve25519:B"]);
}
