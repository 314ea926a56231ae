use ruma::{EventId, OwnedEventId, OwnedRoomId, UserId, events::receipt::ReceiptThread};
use serde_json::json;

use super::*;
use crate::{
    push::testing::{PushFixture, people},
    rooms::{Mark, appender::Draft, testing::content},
    storage::records::ReceiptKind,
};

struct World {
    server: PushFixture,
    alice: OwnedUserId,
    bob: OwnedUserId,
    room: OwnedRoomId,
}

/// A room of Alice's in which Bob is; what is unread is Bob's.
fn world() -> World {
    let server = PushFixture::new();
    let [alice, bob, carol] = people();
    let room = server.rooms.public_room(&alice);
    server.rooms.say(&room, &alice, "before Bob came");
    server.rooms.join(&room, &bob);
    server.rooms.join(&room, &carol);
    World { server, alice, bob, room }
}

impl World {
    fn say(&self, body: &str) -> OwnedEventId {
        self.server.rooms.say(&self.room, &self.alice, body)
    }

    fn reply(&self, sender: &UserId, rel_type: &str, to: &EventId) -> OwnedEventId {
        let relation = json!({"rel_type": rel_type, "event_id": to});
        let content = content(json!({"msgtype": "m.text", "body": "reply", "m.relates_to": relation}));
        self.server.rooms.append(&self.room, Draft::message(sender, "m.room.message", content)).unwrap()
    }

    fn read(&self, event: &EventId, thread: ReceiptThread) {
        let mark = Mark::Receipt { kind: ReceiptKind::Read, thread, event_id: event.to_owned() };
        self.server.receipts.mark(&self.server.viewer(&self.bob), &self.room, &[mark]).unwrap();
    }

    fn look_with(&self, unread: &UnreadCounts) -> RoomUnread {
        self.server.storage.durable_blocking().unwrap();
        let position = self.server.storage.position();
        let room = self.server.rooms.short(&self.room);
        unread.of_room(&self.server.viewer(&self.bob), room, position).unwrap()
    }

    /// What is unread, in all; the same whether it was counted step by step or all at once.
    fn look(&self) -> RoomUnread {
        let unread = self.look_with(&self.server.unread);
        assert_eq!(self.look_with(&self.server.fresh_unread()), unread, "the memory of it is not needed");
        unread
    }

    fn main(&self) -> u64 {
        self.look().main.notify
    }
}

#[test]
fn what_came_since_the_join_is_counted_until_it_is_read() {
    let world = world();
    assert_eq!(world.main(), 0, "history from before the join is no news");
    let first = world.say("one");
    world.say("two");
    assert_eq!(world.main(), 2);
    let third = world.say("three");
    assert_eq!(world.main(), 3);
    world.read(&first, ReceiptThread::Unthreaded);
    assert_eq!(world.main(), 2, "a receipt in the middle leaves what came after");
    world.read(&third, ReceiptThread::Unthreaded);
    assert_eq!(world.main(), 0);
    world.say("four");
    assert_eq!(world.main(), 1);
}

#[test]
fn threads_are_read_by_themselves() {
    let world = world();
    let root = world.say("root");
    let in_thread = world.reply(&world.alice, "m.thread", &root);
    let about_it = world.reply(&world.alice, "m.annotation", &in_thread);
    world.say("main");
    let thread = |unread: RoomUnread| unread.threads.values().map(|counts| counts.notify).collect::<Vec<_>>();
    assert_eq!((world.main(), thread(world.look())), (2, vec![2]), "a relation to a reply is in its thread");
    assert_eq!(world.look().total().notify, 4);
    world.read(&about_it, ReceiptThread::Thread(root.clone()));
    assert_eq!((world.main(), thread(world.look())), (2, vec![]));
    world.read(&root, ReceiptThread::Main);
    assert_eq!(world.main(), 1);
}

#[test]
fn who_sends_has_read_what_came_before() {
    let world = world();
    world.say("one");
    assert_eq!(world.main(), 1);
    world.server.rooms.say(&world.room, &world.bob, "answer");
    assert_eq!(world.main(), 0);
}

#[test]
fn redacted_messages_and_ignored_senders_do_not_count() {
    let world = world();
    let event = world.say("oops");
    world.say("stays");
    assert_eq!(world.main(), 2);
    world.server.rooms.append(&world.room, Draft::redaction(&world.alice, &event, None)).unwrap();
    assert_eq!(world.main(), 1);
    let carol = crate::rooms::testing::RoomsFixture::user("carol");
    world.server.ignore(&world.bob, &[&carol]);
    world.server.rooms.say(&world.room, &carol, "ignored");
    assert_eq!(world.main(), 1);
}

#[test]
fn a_long_absence_costs_a_bounded_look() {
    let world = world();
    let many = limits::UNREAD_KEPT_MAX + 20;
    (0..many).for_each(|n| drop(world.say(&n.to_string())));
    assert_eq!(world.main(), limits::UNREAD_KEPT_MAX as u64);
    let row: Option<UnreadRow> = {
        let key = (world.server.short_user(&world.bob), world.server.rooms.short(&world.room));
        world.server.storage.get(&UNREAD, &key).unwrap()
    };
    assert_eq!(row.unwrap().events.len(), limits::UNREAD_KEPT_MAX, "and is written, not counted again");
}

#[test]
fn leaving_and_coming_back_starts_anew() {
    let world = world();
    world.say("one");
    assert_eq!(world.main(), 1);
    let rooms = &world.server.rooms;
    rooms.set_membership(&world.room, &world.bob, &world.bob, "leave").unwrap();
    assert_eq!(world.look(), RoomUnread::default());
    world.say("while away");
    rooms.join(&world.room, &world.bob);
    assert_eq!(world.main(), 0);
    world.say("again");
    assert_eq!(world.main(), 1);
}

#[test]
fn many_rooms_that_nobody_reads_take_bounded_memory() {
    let world = world();
    let room = world.server.rooms.short(&world.room);
    for number in 0..40 {
        world.say(&format!("message {number}"));
    }
    world.server.storage.durable_blocking().unwrap();
    let position = world.server.storage.position();
    let unread = &world.server.unread;
    let empty = unread.cache.weight();
    unread.of_room(&world.server.viewer(&world.bob), room, position).unwrap();
    let of_events = 40 * size_of::<UnreadEvent>() as u64;
    assert!(unread.cache.weight() >= empty + of_events, "what is remembered is weighed as it grows");
    assert_eq!(unread.cache.capacity(), limits::UNREAD_CACHED_BYTES_MAX);
}
