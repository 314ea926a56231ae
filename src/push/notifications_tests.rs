use ruma::{EventId, OwnedEventId, RoomId, UserId, events::receipt::ReceiptThread};
use serde_json::json;

use super::*;
use crate::{
    push::testing::{PushFixture, people},
    rooms::{Mark, appender::Draft, testing::content},
    storage::records::ReceiptKind,
};

fn notifications(server: &PushFixture) -> Notifications {
    let rooms = &server.rooms;
    Notifications::new(
        server.storage.clone(),
        rooms.index.clone(),
        server.timelines.clone(),
        server.visibility.clone(),
        server.unread.clone(),
    )
}

fn page(server: &PushFixture, user: &UserId, request: NotificationsRequest) -> NotificationPage {
    server.storage.durable_blocking().unwrap();
    notifications(server).page(&server.viewer(user), &request).unwrap()
}

const ALL: NotificationsRequest = NotificationsRequest { before: None, limit: 100, highlights_only: false };

fn ids(page: &NotificationPage) -> Vec<OwnedEventId> {
    page.notifications.iter().map(|found| found.event.event().event_id().to_owned()).collect()
}

fn read(server: &PushFixture, user: &UserId, room: &RoomId, event: &EventId, thread: ReceiptThread) {
    let mark = Mark::Receipt { kind: ReceiptKind::Read, thread, event_id: event.to_owned() };
    server.receipts.mark(&server.viewer(user), room, &[mark]).unwrap();
}

#[test]
fn pages_of_all_rooms_go_from_the_newest_to_the_joining() {
    let server = PushFixture::new();
    let [alice, bob, _] = people();
    let rooms = [server.rooms.public_room(&alice), server.rooms.public_room(&alice)];
    for room in &rooms {
        server.rooms.say(room, &alice, "before Bob came");
        server.rooms.join(room, &bob);
    }
    let mut said: Vec<_> = (0..9).map(|n| server.rooms.say(&rooms[n % 2], &alice, "hello")).collect();
    server.rooms.say(&rooms[0], &bob, "one's own");
    said.reverse();
    assert_eq!(ids(&page(&server, &bob, ALL)), said);
    for limit in 1..=10 {
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let page = page(&server, &bob, NotificationsRequest { before, limit, ..ALL });
            assert!(page.notifications.len() <= limit);
            found.extend(ids(&page));
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(found, said, "in pages of {limit}");
    }
}

#[test]
fn highlights_can_be_asked_for_alone_and_rooms_left_are_no_longer_told() {
    let server = PushFixture::new();
    let [alice, bob, _] = people();
    let room = server.rooms.public_room(&alice);
    server.rooms.join(&room, &bob);
    server.rooms.say(&room, &alice, "hello");
    let mention = content(json!({ "msgtype": "m.text", "body": "you", "m.mentions": { "user_ids": [bob] } }));
    let mention = server.rooms.append(&room, Draft::message(&alice, "m.room.message", mention)).unwrap();
    server.rooms.say(&room, &alice, "bye");
    let found = page(&server, &bob, NotificationsRequest { highlights_only: true, ..ALL });
    assert_eq!(ids(&found), [mention]);
    assert!(found.notifications[0].actions.iter().any(Action::is_highlight));
    assert_eq!(page(&server, &bob, ALL).notifications.len(), 3);
    server.rooms.set_membership(&room, &bob, &bob, "leave").unwrap();
    assert_eq!(page(&server, &bob, ALL).notifications.len(), 0);
}

#[test]
fn what_a_receipt_covers_is_read() {
    let server = PushFixture::new();
    let [alice, bob, _] = people();
    let room = server.rooms.public_room(&alice);
    server.rooms.join(&room, &bob);
    let first = server.rooms.say(&room, &alice, "root");
    let relation = json!({ "rel_type": "m.thread", "event_id": first });
    let reply = content(json!({ "msgtype": "m.text", "body": "reply", "m.relates_to": relation }));
    server.rooms.append(&room, Draft::message(&alice, "m.room.message", reply)).unwrap();
    let last = server.rooms.say(&room, &alice, "last");
    let flags =
        || -> Vec<bool> { page(&server, &bob, ALL).notifications.iter().map(|n| n.is_read).collect() };
    assert_eq!(flags(), [false, false, false]);
    read(&server, &bob, &room, &first, ReceiptThread::Main);
    assert_eq!(flags(), [false, false, true]);
    read(&server, &bob, &room, &last, ReceiptThread::Main);
    assert_eq!(flags(), [true, false, true]);
    read(&server, &bob, &room, &last, ReceiptThread::Unthreaded);
    assert_eq!(flags(), [true, true, true]);
}

#[test]
fn a_page_tries_a_bounded_number_of_events() {
    let server = PushFixture::new();
    let [alice, bob, _] = people();
    let room = server.rooms.public_room(&alice);
    server.rooms.join(&room, &bob);
    let mention = content(json!({ "msgtype": "m.text", "body": "you", "m.mentions": { "user_ids": [bob] } }));
    let mention = server.rooms.append(&room, Draft::message(&alice, "m.room.message", mention)).unwrap();
    for _ in 0..limits::NOTIFICATIONS_EVALUATED_MAX {
        server.rooms.say(&room, &alice, "hello");
    }
    let highlights = NotificationsRequest { highlights_only: true, ..ALL };
    let first = page(&server, &bob, highlights);
    assert_eq!(ids(&first), Vec::<OwnedEventId>::new());
    assert!(first.next.is_some(), "the search goes on in the next page");
    let second = page(&server, &bob, NotificationsRequest { before: first.next, ..highlights });
    assert_eq!((ids(&second), second.next), (vec![mention], None));
}
