//! Redaction.

use serde_json::json;

use crate::harness::{Client, Server, path_segment};

#[test]
fn a_redacted_message_loses_its_content_everywhere() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    let event = alice.send_text(&room, "regrettable");
    let since = bob.sync(None, "").next_batch().to_owned();
    let redaction = alice.redact(&room, &event, "typed too fast");

    let read = bob.event(&room, &event).ok();
    assert_eq!(read["content"], json!({}));
    assert_eq!(read["sender"], alice.user_id);
    let because = &read["unsigned"]["redacted_because"];
    assert_eq!(because["event_id"], redaction, "{read}");
    assert_eq!(because["sender"], alice.user_id);
    assert_eq!(because["content"]["reason"], "typed too fast");
    let page = bob.all_messages(&room, 'b', 50);
    assert!(!serde_json::to_string(&page).unwrap().contains("regrettable"));
    let initial = bob.sync(None, "");
    assert!(!initial.body.to_string().contains("regrettable"), "{}", initial.body);

    let update = bob.sync_until(&since, |sync| !sync.timeline(&room).is_empty());
    let seen = update.timeline(&room).pop().unwrap();
    assert_eq!(seen["type"], "m.room.redaction");
    assert_eq!(seen["event_id"], redaction);
    assert_eq!(seen["content"]["redacts"], event, "{seen}");
    assert_eq!(seen["redacts"], event, "older clients look at the top level: {seen}");
}

#[test]
fn only_the_sender_and_moderators_redact() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    let hers = alice.send_text(&room, "by Alice");
    let his = bob.send_text(&room, "by Bob");
    let path = |event: &str| Client::room_path(&room, &format!("redact/{}/t", path_segment(event)));
    bob.put(&path(&hers), json!({})).error(403, "M_FORBIDDEN");
    assert_eq!(alice.event(&room, &hers).ok()["content"]["body"], "by Alice");
    bob.redact(&room, &his, "own");
    let his = bob.send_text(&room, "by Bob again");
    alice.redact(&room, &his, "moderated");
    assert_eq!(bob.event(&room, &his).ok()["content"], json!({}));
}

#[test]
fn redacted_state_keeps_what_the_rules_keep() {
    let server = Server::start();
    let alice = server.register("alice");
    let room = alice.create_room(json!({}));
    let topic = alice.set_state(&room, "m.room.topic", "", json!({ "topic": "gone" })).ok();
    alice.redact(&room, topic["event_id"].as_str().unwrap(), "x");
    assert_eq!(alice.state(&room, "m.room.topic", "").ok(), json!({}));
    let rules = json!({ "join_rule": "public", "org.example.extra": 1 });
    let rules = alice.set_state(&room, "m.room.join_rules", "", rules).ok();
    alice.redact(&room, rules["event_id"].as_str().unwrap(), "x");
    assert_eq!(alice.state(&room, "m.room.join_rules", "").ok(), json!({ "join_rule": "public" }));
}
