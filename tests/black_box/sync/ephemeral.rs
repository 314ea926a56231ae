//! Typing and receipts.

use serde_json::{Value, json};

use crate::harness::{Answer, Client, Server, path_segment};

fn set_typing(client: &Client, room: &str, user: &Client, body: Value) -> Answer {
    client.put(&Client::room_path(room, &format!("typing/{}", path_segment(&user.user_id))), body)
}

fn receipt(client: &Client, room: &str, kind: &str, event: &str, body: Value) -> Answer {
    client.post(&Client::room_path(room, &format!("receipt/{kind}/{}", path_segment(event))), body)
}

#[test]
fn typing_starts_stops_and_runs_out() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    let since = bob.sync(None, "").next_batch().to_owned();
    let typing = |since: &str, expected: Value| {
        let told = |sync: &crate::harness::SyncResult| sync.ephemeral(&room, "m.typing").is_some();
        let sync = bob.sync_until(since, told);
        assert_eq!(sync.ephemeral(&room, "m.typing").unwrap()["user_ids"], expected);
        sync.next_batch().to_owned()
    };
    set_typing(&alice, &room, &alice, json!({ "typing": true, "timeout": 30_000 })).ok();
    let since = typing(&since, json!([alice.user_id]));
    set_typing(&alice, &room, &alice, json!({ "typing": false })).ok();
    let since = typing(&since, json!([]));
    set_typing(&alice, &room, &alice, json!({ "typing": true, "timeout": 1_000 })).ok();
    let since = typing(&since, json!([alice.user_id]));
    typing(&since, json!([]));
}

#[test]
fn typing_is_for_oneself_in_ones_own_rooms() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room(json!({}));
    set_typing(&bob, &room, &bob, json!({ "typing": true, "timeout": 1_000 })).error(403, "M_FORBIDDEN");
    set_typing(&bob, &room, &alice, json!({ "typing": true, "timeout": 1_000 })).error(403, "M_FORBIDDEN");
}

#[test]
fn a_public_receipt_reaches_the_others() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    let event = alice.send_text(&room, "read me");
    let since = alice.sync(None, "").next_batch().to_owned();
    receipt(&bob, &room, "m.read", &event, json!({})).ok();
    let sync = alice.sync_until(&since, |sync| sync.ephemeral(&room, "m.receipt").is_some());
    let content = sync.ephemeral(&room, "m.receipt").unwrap();
    let ts = content[&event]["m.read"][&bob.user_id]["ts"].as_u64().unwrap();
    assert!(ts > 1_600_000_000_000, "{content}");
    let initial = alice.sync(None, "").ephemeral(&room, "m.receipt").unwrap();
    assert!(!initial[&event]["m.read"][&bob.user_id].is_null(), "{initial}");
}

#[test]
fn a_private_receipt_is_told_to_nobody_else() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let tablet = bob.log_in_again();
    let room = alice.create_room_with(&[&bob]);
    let event = alice.send_text(&room, "read me");
    let alice_since = alice.sync(None, "").next_batch().to_owned();
    let bob_since = tablet.sync(None, "").next_batch().to_owned();
    receipt(&bob, &room, "m.read.private", &event, json!({})).ok();
    let sync = tablet.sync_until(&bob_since, |sync| sync.ephemeral(&room, "m.receipt").is_some());
    let content = sync.ephemeral(&room, "m.receipt").unwrap();
    assert!(!content[&event]["m.read.private"][&bob.user_id].is_null(), "{content}");
    let others = alice.sync(Some(&alice_since), "");
    assert!(!others.body.to_string().contains("m.read.private"), "{}", others.body);
    assert!(!alice.sync(None, "").body.to_string().contains("m.read.private"));
}

#[test]
fn threads_have_receipts_of_their_own() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    let first = alice.send_text(&room, "root");
    let since = alice.sync(None, "").next_batch().to_owned();
    receipt(&bob, &room, "m.read", &first, json!({ "thread_id": "main" })).ok();
    let sync = alice.sync_until(&since, |sync| sync.ephemeral(&room, "m.receipt").is_some());
    let content = sync.ephemeral(&room, "m.receipt").unwrap();
    assert_eq!(content[&first]["m.read"][&bob.user_id]["thread_id"], "main", "{content}");
    receipt(&bob, &room, "m.read", &first, json!({ "thread_id": "" })).error(400, "M_INVALID_PARAM");
    let answer = receipt(&bob, &room, "org.example.unknown", &first, json!({}));
    assert_eq!(answer.status, 400, "{answer}");
    assert!(answer.errcode().is_some(), "{answer}");
}

#[test]
fn read_markers_set_all_three() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    let event = alice.send_text(&room, "read me");
    let since = bob.sync(None, "").next_batch().to_owned();
    let body = json!({ "m.fully_read": event, "m.read": event });
    bob.post(&Client::room_path(&room, "read_markers"), body).ok();
    let sync = bob.sync_until(&since, |sync| !sync.joined(&room)["account_data"]["events"][0].is_null());
    let marker = &sync.joined(&room)["account_data"]["events"][0];
    assert_eq!(*marker, json!({ "type": "m.fully_read", "content": { "event_id": event } }));
    let receipts = alice.sync(None, "").ephemeral(&room, "m.receipt").unwrap();
    assert!(!receipts[&event]["m.read"][&bob.user_id].is_null(), "{receipts}");
}

#[test]
fn only_members_leave_receipts() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room(json!({}));
    let event = alice.send_text(&room, "x");
    let answer = receipt(&bob, &room, "m.read", &event, json!({}));
    assert!((400..=404).contains(&answer.status), "{answer}");
    let receipts = alice.sync(None, "").ephemeral(&room, "m.receipt");
    assert!(!receipts.unwrap_or_default().to_string().contains(&bob.user_id));
}
