use ruma::events::receipt::ReceiptThread;
use serde_json::{Value, json};

use crate::{
    rooms::{Mark, appender::Draft, testing::content},
    storage::records::ReceiptKind,
    sync::testing::{SyncFixture, people},
};

#[test]
fn counts_come_with_the_event_and_go_with_the_receipt() {
    let server = SyncFixture::new();
    let [alice, bob, _] = people();
    let room = server.rooms.public_room(&alice);
    server.rooms.join(&room, &bob);
    let (_, token) = server.sync(&bob, None);
    let mention = content(json!({"msgtype": "m.text", "body": "Bob!", "m.mentions": {"user_ids": [bob]}}));
    let event = server.rooms.append(&room, Draft::message(&alice, "m.room.message", mention)).unwrap();
    let counts = |answer: &Value| answer["rooms"]["join"][room.as_str()]["unread_notifications"].clone();
    let (answer, token) = server.sync(&bob, Some(token));
    assert_eq!(counts(&answer), json!({"notification_count": 1, "highlight_count": 1}));
    let mark =
        Mark::Receipt { kind: ReceiptKind::ReadPrivate, thread: ReceiptThread::Unthreaded, event_id: event };
    server.receipts.mark(&server.viewer(&bob), &room, &[mark]).unwrap();
    let (answer, _) = server.sync(&bob, Some(token));
    assert_eq!(counts(&answer), json!({"notification_count": 0, "highlight_count": 0}));
}

#[test]
fn threads_are_counted_by_themselves_only_if_asked_for() {
    let server = SyncFixture::new();
    let [alice, bob, _] = people();
    let room = server.rooms.public_room(&alice);
    server.rooms.join(&room, &bob);
    let thread = server.rooms.say(&room, &alice, "root");
    let (_, token) = server.sync(&bob, None);
    server.rooms.say(&room, &alice, "main");
    let reply = content(json!({
        "msgtype": "m.text", "body": "in the thread",
        "m.relates_to": {"rel_type": "m.thread", "event_id": thread},
    }));
    server.rooms.append(&room, Draft::message(&alice, "m.room.message", reply)).unwrap();
    let (answer, _) = server.sync(&bob, Some(token));
    let joined = &answer["rooms"]["join"][room.as_str()];
    assert_eq!(joined["unread_notifications"]["notification_count"], 3, "with the root");
    assert_eq!(joined["unread_thread_notifications"], Value::Null);
    let filter = json!({"room": {"timeline": {"unread_thread_notifications": true}}});
    let (answer, _) = server.filtered(&bob, Some(token), filter);
    let joined = &answer["rooms"]["join"][room.as_str()];
    assert_eq!(joined["unread_notifications"]["notification_count"], 2);
    assert_eq!(joined["unread_thread_notifications"][thread.as_str()]["notification_count"], 1);
}
