//! What an application service is sent: everything of its rooms, once, in order, and nothing of others.

use serde_json::{Value, json};

use super::{Bridged, acting_for};
use crate::harness::{Client, Listener};

fn room_with(alice: &Client, bridged: &Bridged, ghost: &str) -> String {
    let body = json!({ "preset": "public_chat" });
    let room = alice.post("/_matrix/client/v3/createRoom", body).ok()["room_id"].as_str().unwrap().to_owned();
    bridged.bot().post(&acting_for(&format!("/_matrix/client/v3/join/{room}"), ghost), json!({})).ok();
    room
}

fn say(client: &Client, room: &str, text: &str) -> Value {
    let path = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/{}", crate::harness::unique("t"));
    client.put(&path, json!({ "msgtype": "m.text", "body": text })).ok()
}

fn bodies(events: &[Value]) -> Vec<&str> {
    events.iter().filter_map(|event| event["content"]["body"].as_str()).collect()
}

#[test]
fn it_gets_what_happens_in_its_rooms_only() {
    let bridged = Bridged::start();
    let (alice, ghost) = (bridged.server.register("alice"), bridged.ghost("irc_bob"));
    let other = alice.post("/_matrix/client/v3/createRoom", json!({})).ok()["room_id"].clone();
    let room = room_with(&alice, &bridged, &ghost);
    say(&alice, other.as_str().unwrap(), "secret");
    let sent = say(&alice, &room, "hello");
    let events = bridged.events_until("hello");
    assert!(events.iter().all(|event| event["room_id"] == room.as_str()), "{events:?}");
    assert_eq!(
        events[0]["state_key"],
        ghost.as_str(),
        "the first is the join by which it came in: {events:?}"
    );
    let hello = events.last().unwrap();
    assert_eq!((&hello["event_id"], &hello["sender"]), (&sent["event_id"], &json!(alice.user_id)));
    assert!(hello["unsigned"]["age"].is_i64());

    let base = format!("/_matrix/client/v3/rooms/{room}");
    alice.put(&format!("{base}/state/m.room.topic"), json!({ "topic": "one" })).ok();
    alice.put(&format!("{base}/state/m.room.topic"), json!({ "topic": "two" })).ok();
    say(&alice, &room, "topics");
    let events = bridged.events_until("topics");
    let second = events.iter().find(|event| event["content"]["topic"] == "two").unwrap();
    assert_eq!(second["unsigned"]["prev_content"]["topic"], "one");

    // After its last user has left, it has no business there.
    bridged.bot().post(&acting_for(&format!("{base}/leave"), &ghost), json!({})).ok();
    say(&alice, &room, "gone");
    let invite = json!({ "user_id": ghost });
    alice.post(&format!("{base}/invite"), invite).ok();
    let mut events = Vec::new();
    while events.last().is_none_or(|event: &Value| event["content"]["membership"] != "invite") {
        events.extend(bridged.next_events());
    }
    assert!(bodies(&events).is_empty(), "{events:?}");
}

#[test]
fn a_transaction_is_sent_until_it_is_taken_and_nothing_is_lost_by_a_crash() {
    let mut bridged = Bridged::start();
    let (alice, ghost) = (bridged.server.register("alice"), bridged.ghost("irc_bob"));
    let room = room_with(&alice, &bridged, &ghost);
    say(&alice, &room, "first");
    bridged.events_until("first");
    bridged.bridge.answer(|_| (500, json!({})));
    say(&alice, &room, "second");
    let refused = bridged.bridge.next();
    say(&alice, &room, "third");
    bridged.server.kill();
    bridged.server.restart();
    let again = bridged.bridge.next();
    assert_eq!(again.path, refused.path, "the same transaction id");
    let ids = |body: &Value| -> Vec<Value> {
        body["events"].as_array().unwrap().iter().map(|event| event["event_id"].clone()).collect()
    };
    assert_eq!(ids(&again.body), ids(&refused.body), "with the same events");

    // The bridge is gone for a while, and comes back.
    let url = bridged.bridge.url();
    drop(std::mem::replace(&mut bridged.bridge, Listener::start()));
    let alice = alice.moved_to(bridged.server.base_url());
    for number in 0..150 {
        say(&alice, &room, &format!("message {number}"));
    }
    bridged.bridge = Listener::start_at(&url);
    bridged.bot().post("/_matrix/client/v1/appservice/irc/ping", json!({})).ok();
    let events = bridged.events_until("message 149");
    let mut expected = vec!["second".to_owned(), "third".to_owned()];
    expected.extend((0..150).map(|number| format!("message {number}")));
    assert_eq!(bodies(&events), expected, "once each, in order");
}

#[test]
fn typing_and_receipts_are_sent_to_those_that_want_them() {
    let bridged = Bridged::start();
    let (alice, ghost) = (bridged.server.register("alice"), bridged.ghost("irc_bob"));
    let room = room_with(&alice, &bridged, &ghost);
    let sent = say(&alice, &room, "hello");
    bridged.events_until("hello");
    let base = format!("/_matrix/client/v3/rooms/{room}");
    let typing = format!("{base}/typing/{}", crate::harness::path_segment(&alice.user_id));
    alice.put(&typing, json!({ "typing": true, "timeout": 30_000 })).ok();
    let next = || loop {
        let request = bridged.bridge.next();
        if let Some(first) = request.body["ephemeral"].get(0) {
            return first.clone();
        }
    };
    let expected = json!({ "type": "m.typing", "room_id": room, "content": { "user_ids": [alice.user_id] } });
    assert_eq!(next(), expected);
    let event = sent["event_id"].as_str().unwrap();
    alice.post(&format!("{base}/receipt/m.read/{event}"), json!({})).ok();
    let receipt = next();
    assert_eq!((&receipt["type"], &receipt["room_id"]), (&json!("m.receipt"), &json!(room)));
    assert!(receipt["content"][event]["m.read"][&alice.user_id]["ts"].is_u64(), "{receipt}");
}

#[test]
fn a_user_that_does_not_exist_yet_is_asked_for() {
    let bridged = Bridged::start();
    let alice = bridged.server.register("alice");
    let room = alice.post("/_matrix/client/v3/createRoom", json!({})).ok()["room_id"].clone();
    let path = format!("/_matrix/client/v3/rooms/{}/invite", room.as_str().unwrap());
    alice.post(&path, json!({ "user_id": "@irc_new:localhost" })).ok();
    let asked = bridged.bridge.next();
    assert_eq!(
        (asked.method.as_str(), asked.path.as_str()),
        ("GET", "/_matrix/app/v1/users/%40irc_new%3Alocalhost")
    );
    let invite = bridged.next_events();
    assert_eq!(invite[0]["state_key"], "@irc_new:localhost");
}

#[test]
fn presence_is_sent_of_those_with_whom_it_shares_a_room() {
    let bridged = Bridged::start();
    let (alice, carol, ghost) =
        (bridged.server.register("alice"), bridged.server.register("carol"), bridged.ghost("irc_bob"));
    room_with(&alice, &bridged, &ghost);
    let show = |user: &Client, state: &str| {
        let path =
            format!("/_matrix/client/v3/presence/{}/status", crate::harness::path_segment(&user.user_id));
        user.put(&path, json!({ "presence": state, "status_msg": format!("{state}!") })).ok();
    };
    let next = || loop {
        let request = bridged.bridge.next();
        let events = request.body["ephemeral"].as_array().cloned().unwrap_or_default();
        if let Some(event) = events.into_iter().find(|event| event["type"] == "m.presence") {
            return event;
        }
    };
    show(&carol, "unavailable");
    show(&alice, "unavailable");
    let event = next();
    assert_eq!(event["sender"], alice.user_id.as_str(), "carol is no concern of it: {event}");
    assert_eq!(event["content"]["presence"], "unavailable");
    assert_eq!(event["content"]["status_msg"], "unavailable!");
    assert!(event.get("room_id").is_none(), "{event}");
    bridged
        .bot()
        .put(
            &acting_for(
                &format!("/_matrix/client/v3/presence/{}/status", crate::harness::path_segment(&ghost)),
                &ghost,
            ),
            json!({ "presence": "online" }),
        )
        .ok();
    let event = next();
    assert_eq!((&event["sender"], &event["content"]["presence"]), (&json!(ghost), &json!("online")));
}
