//! What an application service that encrypts is told of devices, so that it needs no sync: messages to its users'
//! devices (MSC4203), whose devices changed, and what its devices have left of their keys (MSC3202).

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::{Bridged, acting_for};
use crate::harness::{Client, Received};

const EXTRA: &str = "de.sorunome.msc2409.push_ephemeral: true\norg.matrix.msc3202: true\n";

fn with_device(path: &str, ghost: &str) -> String {
    acting_for(&format!("{path}?device_id=BRIDGE"), ghost)
}

/// A ghost that has the device `BRIDGE`.
fn ghost_with_device(bridged: &Bridged) -> String {
    let ghost = bridged.ghost("irc_bob");
    bridged.bot().put(&acting_for("/_matrix/client/v3/devices/BRIDGE", &ghost), json!({})).ok();
    ghost
}

fn send(sender: &Client, ghost: &str, number: usize) {
    let content = json!({ "messages": { ghost: { "BRIDGE": { "n": number } } } });
    sender.put(&format!("/_matrix/client/v3/sendToDevice/org.example.test/{number}"), content).ok();
}

/// The next transaction that has something under `name`.
#[track_caller]
fn next_with(bridged: &Bridged, name: &str) -> Received {
    loop {
        let request = bridged.bridge.next();
        if !request.body[name].is_null() {
            return request;
        }
    }
}

fn numbers(request: &Received) -> Vec<u64> {
    let messages = request.body["to_device"].as_array().unwrap();
    messages.iter().map(|message| message["content"]["n"].as_u64().unwrap()).collect()
}

#[test]
fn messages_to_its_devices_come_once_whatever_crashes() {
    let mut bridged = Bridged::start_with(EXTRA);
    let (alice, ghost) = (bridged.server.register("alice"), ghost_with_device(&bridged));
    bridged.bridge.answer(|_| (500, json!({})));
    send(&alice, &ghost, 1);
    let refused = next_with(&bridged, "to_device");
    let expected = json!([{
        "type": "org.example.test", "sender": alice.user_id, "content": { "n": 1 },
        "to_user_id": ghost, "to_device_id": "BRIDGE",
    }]);
    assert_eq!(refused.body["to_device"], expected);
    assert_eq!(refused.body["de.sorunome.msc2409.to_device"], expected, "under the name of before as well");
    send(&alice, &ghost, 2);
    bridged.server.kill();
    bridged.bridge.answer(|_| (200, json!({})));
    bridged.server.restart();
    let alice = alice.moved_to(bridged.server.base_url());
    send(&alice, &ghost, 3);
    let mut taken: Vec<(String, Vec<u64>)> = Vec::new();
    while taken.iter().all(|(_, numbers)| !numbers.contains(&3)) {
        let request = next_with(&bridged, "to_device");
        // The one that was refused may have been tried again before the crash.
        taken.retain(|(path, _)| *path != request.path);
        taken.push((request.path.clone(), numbers(&request)));
    }
    assert_eq!(taken[0], (refused.path, vec![1]), "the transaction is the same as before");
    let all: Vec<_> = taken.into_iter().flat_map(|(_, numbers)| numbers).collect();
    assert_eq!(all, [1, 2, 3], "once each, in order");
    let carol = bridged.server.register("carol");
    let content = json!({ "messages": { carol.user_id.as_str(): { "*": { "n": 9 } } } });
    alice.put("/_matrix/client/v3/sendToDevice/org.example.test/other", content).ok();
    send(&alice, &ghost, 10);
    assert_eq!(numbers(&next_with(&bridged, "to_device")), [10], "other people's are not its business");
    bridged.server.stop();
    let checked = bridged.server.run(&["check"]);
    assert!(checked.status.success(), "{checked}");
}

#[test]
fn it_learns_what_its_devices_have_left_of_their_keys() {
    let bridged = Bridged::start_with(EXTRA);
    let (alice, ghost) = (bridged.server.register("alice"), ghost_with_device(&bridged));
    let key =
        |n: usize| (format!("signed_curve25519:K{n}"), json!({ "key": format!("{n}"), "signatures": {} }));
    let one_time: Map<String, Value> = (0..2).map(key).collect();
    let fallback: Map<String, Value> = [key(9)].into_iter().collect();
    let upload = with_device("/_matrix/client/v3/keys/upload", &ghost);
    bridged.bot().post(&upload, json!({ "one_time_keys": one_time, "fallback_keys": fallback })).ok();

    let counts = "org.matrix.msc3202.device_one_time_keys_count";
    let stock = || {
        let body = next_with(&bridged, counts).body;
        let count = body[counts][&ghost]["BRIDGE"]["signed_curve25519"].as_u64().unwrap();
        assert_eq!(body["org.matrix.msc3202.device_one_time_key_counts"], body[counts], "as first called");
        (count, body["org.matrix.msc3202.device_unused_fallback_key_types"][&ghost]["BRIDGE"].clone())
    };
    assert_eq!(stock(), (2, json!(["signed_curve25519"])));
    let claim = json!({ "one_time_keys": { ghost.as_str(): { "BRIDGE": "signed_curve25519" } } });
    for expected in [(1, json!(["signed_curve25519"])), (0, json!(["signed_curve25519"])), (0, json!([]))] {
        alice.post("/_matrix/client/v3/keys/claim", claim.clone()).ok();
        assert_eq!(stock(), expected);
    }
}

fn upload_device_keys(client: &Client) {
    let (user, device) = (&client.user_id, &client.device_id);
    let keys = json!({
        "user_id": user, "device_id": device, "algorithms": ["m.megolm.v1.aes-sha2"], "signatures": {},
        "keys": { format!("ed25519:{device}"): "a", format!("curve25519:{device}"): "b" },
    });
    client.post("/_matrix/client/v3/keys/upload", json!({ "device_keys": keys })).ok();
}

/// Whose devices changed and who left, up to where one is named.
#[track_caller]
fn lists_until(bridged: &Bridged, list: &str, user: &str) -> (HashSet<String>, HashSet<String>) {
    let mut found = (HashSet::new(), HashSet::new());
    loop {
        let body = next_with(bridged, "org.matrix.msc3202.device_lists").body;
        let lists = &body["org.matrix.msc3202.device_lists"];
        let of =
            |list: &str| lists[list].as_array().unwrap().iter().map(|user| user.as_str().unwrap().to_owned());
        found.0.extend(of("changed"));
        found.1.extend(of("left"));
        if of(list).any(|named| named == user) {
            return found;
        }
    }
}

#[test]
fn it_learns_whose_devices_changed_among_those_it_shares_rooms_with() {
    let bridged = Bridged::start_with(EXTRA);
    let ghost = ghost_with_device(&bridged);
    let [alice, carol, dave] = ["alice", "carol", "dave"].map(|name| bridged.server.register(name));
    let rooms = [(); 2].map(|()| {
        let body = json!({ "preset": "public_chat" });
        let room =
            alice.post("/_matrix/client/v3/createRoom", body).ok()["room_id"].as_str().unwrap().to_owned();
        bridged.bot().post(&acting_for(&format!("/_matrix/client/v3/join/{room}"), &ghost), json!({})).ok();
        room
    });
    upload_device_keys(&carol);
    upload_device_keys(&alice);
    let (changed, left) = lists_until(&bridged, "changed", &alice.user_id);
    assert!(!changed.contains(&carol.user_id), "it shares no room with them: {changed:?}");
    assert!(left.is_empty(), "{left:?}");

    let join = |client: &Client, room: &str| {
        client.post(&format!("/_matrix/client/v3/join/{room}"), json!({})).ok();
    };
    let leave = |client: &Client, room: &str| {
        client.post(&format!("/_matrix/client/v3/rooms/{room}/leave"), json!({})).ok();
    };
    join(&carol, &rooms[0]);
    lists_until(&bridged, "changed", &carol.user_id);
    join(&dave, &rooms[0]);
    join(&dave, &rooms[1]);
    leave(&dave, &rooms[0]);
    leave(&carol, &rooms[0]);
    let (changed, left) = lists_until(&bridged, "left", &carol.user_id);
    assert!(changed.contains(&dave.user_id), "{changed:?}");
    assert!(!left.contains(&dave.user_id), "they share another room: {left:?}");
    upload_device_keys(&dave);
    lists_until(&bridged, "changed", &dave.user_id);
}

#[test]
fn those_that_do_not_ask_are_not_told() {
    let bridged = Bridged::start();
    let (alice, ghost) = (bridged.server.register("alice"), ghost_with_device(&bridged));
    let room = alice.post("/_matrix/client/v3/createRoom", json!({ "preset": "public_chat" })).ok();
    let room = room["room_id"].as_str().unwrap();
    bridged.bot().post(&acting_for(&format!("/_matrix/client/v3/join/{room}"), &ghost), json!({})).ok();
    upload_device_keys(&alice);
    send(&alice, &ghost, 1);
    let request = next_with(&bridged, "to_device");
    let mut names: Vec<_> = request.body.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["events", "to_device"],
        "this registration is written by the specification's names only"
    );
}
