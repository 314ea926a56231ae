//! Receipts: only forward, by thread, told to whom they concern.

use ruma::{
    EventId,
    events::receipt::{ReceiptThread, ReceiptType},
};
use serde_json::json;

use super::{
    Mark, ReadError, ReceiptError, Receipts,
    stored_room::{ALICE, BOB, CAROL, StoredRoom},
};
use crate::{
    storage::{
        Read, ShortEventId, StreamPosition,
        records::{ReceiptKind, ReceiptRow},
        tables::{ROOM_CHANGE_POSITIONS, ROOM_CHANGES},
    },
    users::AccountData,
};

struct Fixture {
    room: StoredRoom,
    receipts: Receipts,
}

impl Fixture {
    fn new() -> Self {
        let mut room = StoredRoom::new();
        room.member(BOB, "join");
        let (storage, events) = (room.storage.clone(), room.events.clone());
        let receipts = Receipts::new(storage, events, room.visibility.clone(), room.clock.clone());
        Self { room, receipts }
    }

    fn event_id(&self, event: ShortEventId) -> ruma::OwnedEventId {
        self.room.stored(event).event.event_id().to_owned()
    }

    fn mark(&self, user: &str, mark: Mark) -> Result<(), ReceiptError> {
        let room_id = self.room.draft.room_id.clone().unwrap();
        self.receipts.mark(&self.room.viewer(user), &room_id, &[mark])?;
        self.room.storage.durable_blocking().unwrap();
        Ok(())
    }

    fn read(&self, user: &str, event: ShortEventId) -> Result<(), ReceiptError> {
        self.mark(user, receipt(ReceiptKind::Read, ReceiptThread::Unthreaded, &self.event_id(event)))
    }

    fn since(&self, user: &str, since: StreamPosition) -> Vec<ReceiptRow> {
        let viewer = self.room.viewer(user).user;
        let until = self.room.position();
        Receipts::since(&self.room.storage, self.room.room, since, until, viewer).unwrap()
    }

    fn read_up_to(&self, user: &str) -> Option<i64> {
        let user = self.room.viewer(user).user;
        Receipts::read_up_to(&self.room.storage, user, self.room.room).unwrap().map(|key| key.0)
    }

    fn key(&self, event: ShortEventId) -> i64 {
        self.room.stored(event).meta.timeline.unwrap().0
    }
}

fn receipt(kind: ReceiptKind, thread: ReceiptThread, event_id: &EventId) -> Mark {
    Mark::Receipt { kind, thread, event_id: event_id.to_owned() }
}

#[test]
fn a_receipt_moves_forward_only_and_has_one_row() {
    let mut server = Fixture::new();
    let (first, second) = (server.room.say(ALICE, "1"), server.room.say(ALICE, "2"));
    server.read(BOB, first).unwrap();
    let before = server.room.position();
    server.read(BOB, second).unwrap();
    assert_eq!(server.since(ALICE, before).len(), 1);
    let all = server.since(ALICE, StreamPosition(0));
    assert_eq!(all.iter().map(|receipt| receipt.event).collect::<Vec<_>>(), [second]);
    let settled = server.room.position();
    server.read(BOB, first).unwrap();
    server.read(BOB, second).unwrap();
    assert_eq!(server.room.position(), settled, "nothing was written");
    assert_eq!(server.read_up_to(BOB), Some(server.key(second)));
    assert_eq!(server.read_up_to(ALICE), None);
}

#[test]
fn a_receipt_moves_its_room_in_the_order_of_changes() {
    let mut server = Fixture::new();
    let said = server.room.say(ALICE, "1");
    server.read(BOB, said).unwrap();
    let (storage, room) = (&server.room.storage, server.room.room);
    let position = storage.get(&ROOM_CHANGE_POSITIONS, &room).unwrap().unwrap();
    assert_eq!(position, server.room.position());
    assert_eq!(storage.get(&ROOM_CHANGES, &position).unwrap(), Some(room));
    let next = server.room.say(ALICE, "2");
    server.read(BOB, next).unwrap();
    assert_eq!(server.room.storage.get(&ROOM_CHANGES, &position).unwrap(), None);
}

#[test]
fn private_receipts_are_told_to_their_owner_only() {
    let mut server = Fixture::new();
    let said = server.room.say(ALICE, "1");
    let private = receipt(ReceiptKind::ReadPrivate, ReceiptThread::Unthreaded, &server.event_id(said));
    server.mark(BOB, private).unwrap();
    assert!(server.since(ALICE, StreamPosition(0)).is_empty());
    let own = server.since(BOB, StreamPosition(0));
    let contents = Receipts::contents(&server.room.storage, &own).unwrap();
    let of_event = &contents[0].0[&server.event_id(said)];
    assert!(of_event[&ReceiptType::ReadPrivate].contains_key(&server.room.viewer(BOB).user_id));
    assert_eq!(server.read_up_to(BOB), Some(server.key(said)));
}

#[test]
fn the_receipt_further_ahead_counts() {
    let mut server = Fixture::new();
    let (first, second) = (server.room.say(ALICE, "1"), server.room.say(ALICE, "2"));
    let private = receipt(ReceiptKind::ReadPrivate, ReceiptThread::Unthreaded, &server.event_id(second));
    server.mark(BOB, private).unwrap();
    server.read(BOB, first).unwrap();
    assert_eq!(server.read_up_to(BOB), Some(server.key(second)));
    assert_eq!(server.since(ALICE, StreamPosition(0)).len(), 1, "others see the public one move");
}

#[test]
fn threads_have_receipts_of_their_own() {
    let mut server = Fixture::new();
    let root = server.room.say(ALICE, "root");
    let root_id = server.event_id(root);
    let relation = |rel_type: &str, event_id: &EventId| json!({"rel_type": rel_type, "event_id": event_id});
    let content = json!({"body": "in", "m.relates_to": relation("m.thread", &root_id)});
    let inside = server.room.send(ALICE, "m.room.message", None, content);
    let content = json!({"m.relates_to": relation("m.annotation", &server.event_id(inside))});
    let reaction = server.room.send(BOB, "m.reaction", None, content);
    let outside = server.room.say(ALICE, "out");

    let thread = ReceiptThread::Thread(root_id.clone());
    let in_thread = |event| receipt(ReceiptKind::Read, thread.clone(), &server.event_id(event));
    let in_main = |event| receipt(ReceiptKind::Read, ReceiptThread::Main, &server.event_id(event));
    for event in [inside, reaction] {
        server.mark(BOB, in_thread(event)).unwrap();
        let refused = server.mark(BOB, in_main(event));
        assert!(matches!(refused, Err(ReceiptError::WrongThread(_))));
    }
    server.mark(BOB, in_main(root)).unwrap();
    let refused = server.mark(BOB, in_thread(outside));
    assert!(matches!(refused, Err(ReceiptError::WrongThread(_))));
    let odd = ReceiptThread::try_from(Some("odd")).unwrap();
    let refused = server.mark(BOB, receipt(ReceiptKind::Read, odd, &server.event_id(outside)));
    assert!(matches!(refused, Err(ReceiptError::InvalidThread(_))));

    assert_eq!(server.read_up_to(BOB), None, "no receipt without a thread was sent");
    let (storage, short, bob) = (&server.room.storage, server.room.room, server.room.viewer(BOB).user);
    let up_to =
        |thread: &str| Receipts::thread_read_up_to(storage, bob, short, thread).unwrap().map(|key| key.0);
    assert_eq!(up_to(root_id.as_str()), Some(server.key(reaction)));
    assert_eq!(up_to("main"), Some(server.key(root)));
    assert_eq!(up_to("$other"), None);
    server.read(BOB, outside).unwrap();
    assert_eq!(up_to(root_id.as_str()), Some(server.key(outside)));
    let contents = Receipts::contents(storage, &server.since(ALICE, StreamPosition(0))).unwrap();
    assert_eq!(contents.len(), 3, "one event for each thread");
}

#[test]
fn only_members_mark_and_only_what_they_see() {
    let mut server = Fixture::new();
    server.room.history("joined");
    let secret = server.room.say(ALICE, "1");
    assert!(matches!(server.read(CAROL, secret), Err(ReceiptError::Read(ReadError::NotInRoom))));
    server.room.member(CAROL, "join");
    assert!(matches!(server.read(CAROL, secret), Err(ReceiptError::Read(ReadError::NotFound(_)))));
    let unknown = receipt(ReceiptKind::Read, ReceiptThread::Unthreaded, ruma::event_id!("$unknown"));
    assert!(matches!(server.mark(BOB, unknown), Err(ReceiptError::Read(ReadError::NotFound(_)))));
}

#[test]
fn the_fully_read_marker_is_account_data_and_never_goes_back() {
    let mut server = Fixture::new();
    let (first, second) = (server.room.say(ALICE, "1"), server.room.say(ALICE, "2"));
    let marker = || {
        let bob = server.room.viewer(BOB).user;
        let content = AccountData::read(&server.room.storage, bob, Some(server.room.room), "m.fully_read");
        serde_json::from_str::<serde_json::Value>(content.unwrap().unwrap().get()).unwrap()
    };
    for (event, expected) in [(first, first), (second, second), (first, second)] {
        server.mark(BOB, Mark::FullyRead(server.event_id(event))).unwrap();
        assert_eq!(marker(), json!({"event_id": server.event_id(expected)}));
    }
    assert!(server.since(BOB, StreamPosition(0)).is_empty(), "a marker is no receipt");
}

#[test]
fn all_receipts_include_ones_own() {
    let mut server = Fixture::new();
    let said = server.room.say(ALICE, "1");
    server.read(BOB, said).unwrap();
    server.read(ALICE, said).unwrap();
    let bob = server.room.viewer(BOB).user;
    let all = Receipts::all(&server.room.storage, server.room.room, server.room.position(), bob).unwrap();
    assert_eq!(all.len(), 2, "each once");
    let none = Receipts::all(&server.room.storage, server.room.room, StreamPosition(0), bob).unwrap();
    assert!(none.is_empty());
}
