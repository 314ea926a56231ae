//! Who is there.

use serde_json::{Value, json};

use crate::harness::{Answer, Client, Server, ServerSettings, SyncResult, path_segment};

fn path(user: &Client) -> String {
    format!("/_matrix/client/v3/presence/{}/status", path_segment(&user.user_id))
}

fn set(user: &Client, body: Value) -> Answer {
    user.put(&path(user), body)
}

/// The content of the presence event of a user.
fn told(sync: &SyncResult, user: &Client) -> Option<Value> {
    let events = sync.body["presence"]["events"].as_array()?;
    let event = events.iter().find(|event| event["sender"] == user.user_id.as_str())?;
    assert_eq!(event["type"], "m.presence");
    Some(event["content"].clone())
}

/// Syncs on until the user's presence is told; the token and the content.
fn next(watcher: &Client, since: &str, user: &Client) -> (String, Value) {
    let sync = watcher.sync_until(since, |sync| told(sync, user).is_some());
    (sync.next_batch().to_owned(), told(&sync, user).unwrap())
}

#[test]
fn changes_reach_those_who_share_a_room_and_nobody_else() {
    let server = Server::start();
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| server.register(name));
    alice.create_room_with(&[&bob]);
    let since = alice.sync(None, "").next_batch().to_owned();
    let of_carol = carol.sync(None, "").next_batch().to_owned();

    set(&bob, json!({ "presence": "online", "status_msg": "making tea" })).ok();
    let (since, content) = next(&alice, &since, &bob);
    assert_eq!((&content["presence"], &content["status_msg"]), (&json!("online"), &json!("making tea")));
    assert_eq!(content["currently_active"], true);
    assert!(content["last_active_ago"].as_u64().unwrap() < 60_000, "{content}");
    set(&bob, json!({ "presence": "unavailable" })).ok();
    let (since, content) = next(&alice, &since, &bob);
    assert_eq!((&content["presence"], &content["status_msg"]), (&json!("unavailable"), &Value::Null));
    set(&bob, json!({ "presence": "offline" })).ok();
    let (since, content) = next(&alice, &since, &bob);
    assert_eq!(content["presence"], "offline");
    bob.sync(None, "set_presence=offline");
    bob.sync(None, "set_presence=unavailable");
    let (since, content) = next(&alice, &since, &bob);
    assert_eq!(content["presence"], "unavailable", "a sync that shows nothing is no change");
    bob.sync(None, "");
    let (since, content) = next(&alice, &since, &bob);
    assert_eq!(content["presence"], "online");
    assert_eq!(told(&alice.sync(Some(&since), ""), &bob), None, "once");

    let sync = carol.sync(Some(&of_carol), "");
    assert!(told(&sync, &bob).is_none(), "{}", sync.body);
    carol.get(&path(&bob)).error(403, "M_FORBIDDEN");
    assert_eq!(alice.get(&path(&bob)).ok()["presence"], "online");
    assert_eq!(carol.get(&path(&carol)).ok()["presence"], "online", "who syncs");
    alice.put(&path(&bob), json!({ "presence": "offline" })).error(403, "M_FORBIDDEN");
    set(&bob, json!({ "presence": "asleep" })).error(400, "M_INVALID_PARAM");
    set(&bob, json!({ "presence": "online", "status_msg": "x".repeat(2_000) })).error(400, "M_INVALID_PARAM");
}

#[test]
fn who_is_there_is_told_at_first_and_when_one_meets() {
    let server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.register(name));
    set(&bob, json!({ "presence": "online", "status_msg": "new here" })).ok();
    let room = alice.create_room(json!({ "preset": "public_chat" }));
    let since = alice.sync(None, "").next_batch().to_owned();
    bob.join(&room).ok();
    let (_, content) = next(&alice, &since, &bob);
    assert_eq!(content["status_msg"], "new here");
    let first = alice.sync(None, "");
    assert_eq!(told(&first, &bob).unwrap()["presence"], "online");
    let none = Client::filter_query(&json!({ "presence": { "types": [] } }));
    assert_eq!(alice.sync(None, &none).body["presence"], Value::Null);
    let not_bob = Client::filter_query(&json!({ "presence": { "not_senders": [bob.user_id] } }));
    assert_eq!(told(&alice.sync(None, &not_bob), &bob), None);
    set(&bob, json!({ "presence": "offline" })).ok();
    assert_eq!(told(&alice.sync(None, ""), &bob), None, "who is gone is no news at first");
}

#[test]
fn switched_off_nothing_is_kept_or_told() {
    let settings = ServerSettings { extra: "presence = \"off\"\n".to_owned(), ..ServerSettings::default() };
    let server = Server::start_with(&settings);
    let [alice, bob] = ["alice", "bob"].map(|name| server.register(name));
    alice.create_room_with(&[&bob]);
    set(&bob, json!({ "presence": "online", "status_msg": "unheard" })).ok();
    assert_eq!(alice.get(&path(&bob)).ok(), json!({ "presence": "offline" }));
    assert_eq!(alice.sync(None, "").body["presence"], Value::Null);
}
