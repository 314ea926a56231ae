//! Waiting syncs: woken by what concerns them, and only by that.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::harness::{Client, Server, SyncResult, path_segment};

/// How long a poll may wait; a test that sees it run out has found a lost wake-up.
const POLL_MS: u64 = 20_000;

/// Runs `action` beside a client that syncs on until `wanted` holds, which must be well before the timeout
/// of one poll; the answer for which it held. (An answer may be about something else, as presence is.)
#[track_caller]
fn woken_by(
    client: &Client,
    since: &str,
    wanted: impl Fn(&SyncResult) -> bool + Sync,
    action: impl FnOnce(),
) -> SyncResult {
    let start = Instant::now();
    let result = thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let mut result = client.sync_waiting(Some(since), "", POLL_MS);
            while !wanted(&result) && start.elapsed() < Duration::from_millis(POLL_MS) {
                result = client.sync_waiting(Some(result.next_batch()), "", POLL_MS);
            }
            result
        });
        action();
        waiting.join().unwrap()
    });
    assert!(wanted(&result), "{}", result.body);
    assert!(start.elapsed() < Duration::from_millis(POLL_MS / 2), "woken only by the timeout");
    result
}

#[test]
fn a_message_wakes_the_waiting() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    let mut since = bob.sync(None, "").next_batch().to_owned();
    for n in 0..10 {
        let text = format!("message {n}");
        let has_room = |sync: &SyncResult| !sync.joined(&room).is_null();
        let sync = woken_by(&bob, &since, has_room, || {
            alice.send_text(&room, &text);
        });
        assert_eq!(sync.timeline(&room)[0]["content"]["body"], text);
        sync.next_batch().clone_into(&mut since);
    }
}

#[test]
fn invite_typing_receipt_and_account_data_wake_too() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    let private = alice.create_room(json!({}));
    let event = bob.send_text(&room, "read me");
    let since = bob.sync(None, "").next_batch().to_owned();
    let invited = |sync: &SyncResult| !sync.body["rooms"]["invite"][&private].is_null();
    let sync = woken_by(&bob, &since, invited, || {
        alice.moderate("invite", &private, &bob.user_id).ok();
    });
    let typing = |sync: &SyncResult| sync.ephemeral(&room, "m.typing").is_some();
    let sync = woken_by(&bob, sync.next_batch(), typing, || {
        let path = format!("typing/{}", path_segment(&alice.user_id));
        alice.put(&Client::room_path(&room, &path), json!({ "typing": true, "timeout": 30_000 })).ok();
    });
    let receipt = |sync: &SyncResult| sync.ephemeral(&room, "m.receipt").is_some();
    let sync = woken_by(&bob, sync.next_batch(), receipt, || {
        let path = format!("receipt/m.read/{}", path_segment(&event));
        alice.post(&Client::room_path(&room, &path), json!({})).ok();
    });
    let stored = |sync: &SyncResult| sync.body["account_data"]["events"][0]["type"] == "org.example.a";
    woken_by(&bob, sync.next_batch(), stored, || {
        let user = path_segment(&bob.user_id);
        bob.put(&format!("/_matrix/client/v3/user/{user}/account_data/org.example.a"), json!({ "a": 1 }))
            .ok();
    });
}

#[test]
fn a_quiet_poll_lasts_its_time_and_answers_empty() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let foreign = alice.create_room(json!({}));
    let since = bob.sync(None, "").next_batch().to_owned();
    let start = Instant::now();
    let sync = thread::scope(|scope| {
        let waiting = scope.spawn(|| bob.sync_waiting(Some(&since), "", 1_500));
        // News that does not concern Bob does not end his wait.
        alice.send_text(&foreign, "not for Bob");
        waiting.join().unwrap()
    });
    let waited = start.elapsed();
    assert!(waited >= Duration::from_millis(1_400), "answered after {waited:?}");
    assert!(waited < Duration::from_secs(6), "answered after {waited:?}");
    assert!(sync.body["rooms"]["join"].as_object().is_none_or(serde_json::Map::is_empty), "{}", sync.body);
}

#[test]
fn many_waiting_syncs_are_woken_by_one_change() {
    let server = Server::start();
    let alice = server.register("alice");
    let since = alice.sync(None, "").next_batch().to_owned();
    let many = 20;
    let syncs: Vec<SyncResult> = thread::scope(|scope| {
        let wait = || alice.sync_until(&since, |sync| !sync.body["rooms"]["join"].is_null());
        let waiting: Vec<_> = (0..many).map(|_| scope.spawn(wait)).collect();
        alice.create_room(json!({ "name": "for all of them" }));
        waiting.into_iter().map(|waiting| waiting.join().unwrap()).collect()
    });
    assert_eq!(syncs.len(), many);
    let told =
        |sync: &SyncResult| sync.body["rooms"]["join"].as_object().is_some_and(|rooms| rooms.len() == 1);
    assert!(syncs.iter().all(told), "each of the {many} waiting syncs has the room");
}

#[test]
fn who_is_logged_out_while_waiting_is_told_nothing_more() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    let since = bob.sync(None, "").next_batch().to_owned();
    let path = format!("/_matrix/client/v3/sync?since={since}&timeout=30000");
    let answer = thread::scope(|scope| {
        let waiting = scope.spawn(|| bob.get(&path));
        bob.post("/_matrix/client/v3/logout", json!({})).ok();
        alice.send_text(&room, "not for a device that is gone");
        waiting.join().unwrap()
    });
    answer.error(401, "M_UNKNOWN_TOKEN");
}
