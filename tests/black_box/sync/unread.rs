//! Unread counts, by the default push rules.

use serde_json::json;

use crate::harness::{Client, Server, path_segment};

fn read(client: &Client, room: &str, event: &str) {
    client.post(&Client::room_path(room, &format!("receipt/m.read/{}", path_segment(event))), json!({})).ok();
}

#[test]
fn messages_count_until_they_are_read() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    let first = alice.send_text(&room, "one");
    alice.send_text(&room, "two");
    let last = alice.send_text(&room, "three");
    assert_eq!(bob.sync(None, "").unread(&room), (3, 0));
    read(&bob, &room, &first);
    assert_eq!(bob.sync(None, "").unread(&room), (2, 0));
    read(&bob, &room, &last);
    assert_eq!(bob.sync(None, "").unread(&room), (0, 0));
    assert_eq!(alice.sync(None, "").unread(&room), (0, 0), "one's own messages do not count");
}

#[test]
fn incremental_syncs_tell_the_new_count() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    let since = bob.sync(None, "").next_batch().to_owned();
    let event = alice.send_text(&room, "one");
    let sync = bob.sync(Some(&since), "");
    assert_eq!(sync.unread(&room), (1, 0), "{}", sync.body);
    read(&bob, &room, &event);
    let sync = bob.sync(Some(sync.next_batch()), "");
    assert_eq!(sync.joined(&room)["unread_notifications"]["notification_count"], 0, "{}", sync.body);
}

#[test]
fn a_mention_highlights() {
    let server = Server::start();
    let (alice, bob, carol) = (server.register("alice"), server.register("bob"), server.register("carol"));
    let room = alice.create_room_with(&[&bob, &carol]);
    let content = json!({
        "msgtype": "m.text", "body": "look", "m.mentions": { "user_ids": [bob.user_id] },
    });
    alice.send(&room, "m.room.message", "t1", content).ok();
    assert_eq!(bob.sync(None, "").unread(&room), (1, 1));
    assert_eq!(carol.sync(None, "").unread(&room), (1, 0));
    let everyone = json!({ "msgtype": "m.text", "body": "all", "m.mentions": { "room": true } });
    alice.send(&room, "m.room.message", "t2", everyone.clone()).ok();
    assert_eq!(carol.sync(None, "").unread(&room), (2, 1));
    bob.send(&room, "m.room.message", "t3", everyone).ok();
    assert_eq!(carol.sync(None, "").unread(&room), (3, 1), "@room needs the power to notify");
}

#[test]
fn what_is_no_message_does_not_count() {
    let server = Server::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = alice.create_room_with(&[&bob]);
    let notice = json!({ "msgtype": "m.notice", "body": "beep" });
    alice.send(&room, "m.room.message", "t1", notice).ok();
    alice.set_state(&room, "m.room.topic", "", json!({ "topic": "x" })).ok();
    alice.send(&room, "m.reaction", "t2", json!({})).ok();
    assert_eq!(bob.sync(None, "").unread(&room), (0, 0));
}
