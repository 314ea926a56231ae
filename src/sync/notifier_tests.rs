use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use ruma::device_id;

use super::*;
use crate::storage::{ShortEventId, StreamPosition, records::MembershipRow};

const ROOM: ShortRoomId = ShortRoomId(1);

fn notifier() -> (Storage, Notifier) {
    let storage = Storage::in_memory().unwrap();
    let notifier = Notifier::start(storage.clone()).unwrap();
    (storage, notifier)
}

fn join(storage: &Storage, user: u64, room: ShortRoomId) {
    let write = storage.write(|tx| {
        let row = MembershipRow {
            membership: Membership::Join,
            event: ShortEventId(1),
            position: StreamPosition(0),
            forgotten: false,
        };
        tx.put(&MEMBERSHIPS, &(ShortUserId(user), room), &row);
        tx.put(&LOCAL_MEMBERS, &(room, ShortUserId(user)), &());
        Ok::<_, StorageError>(())
    });
    write.unwrap();
}

fn announce(storage: &Storage, notifier: &Notifier, scope: ChangeScope) {
    let write = storage.write(|tx| {
        let position = tx.next_position();
        tx.announce(scope, position);
        Ok::<_, StorageError>(())
    });
    write.unwrap();
    notifier.settle();
}

impl Notifier {
    /// Blocks until every change so far has woken whom it concerns.
    pub(crate) fn settle(&self) {
        let storage = &self.shared.storage;
        let (sender, receiver) = std::sync::mpsc::channel();
        // Listeners are told in the order in which they came: when this one is, the notifier has been.
        storage.on_durable(move |changes| {
            // A receiver that is gone belongs to an earlier call.
            let _ = sender.send(changes.to_vec());
        });
        let mark = ChangeScope::User(ShortUserId(u64::MAX));
        let write = storage.write(|tx| {
            let position = tx.next_position();
            tx.announce(mark, position);
            Ok::<_, StorageError>(())
        });
        write.unwrap();
        while !receiver.recv().unwrap().iter().any(|change| change.scope == mark) {}
        let mut pending = self.shared.pending();
        while pending.busy || !pending.is_empty() {
            pending = self.shared.work.wait(pending).unwrap();
        }
    }
}

fn state(registration: &Registration) -> Poll<Woken> {
    pin!(registration.woken()).poll(&mut Context::from_waker(Waker::noop()))
}

fn news(registration: &Registration) -> bool {
    state(registration) == Poll::Ready(Woken::News)
}

#[test]
fn a_room_change_wakes_only_waiting_members() {
    let (storage, notifier) = notifier();
    join(&storage, 1, ROOM);
    join(&storage, 2, ShortRoomId(2));
    let member = notifier.register(ShortUserId(1), device_id!("A"));
    let other_device = notifier.register(ShortUserId(1), device_id!("B"));
    let stranger = notifier.register(ShortUserId(2), device_id!("A"));
    announce(&storage, &notifier, ChangeScope::Room(ROOM));
    assert!(news(&member) && news(&other_device) && !news(&stranger));
    assert!(!news(&member), "one change wakes once");
}

#[test]
fn in_a_large_room_the_waiting_users_are_looked_up_instead() {
    let (storage, notifier) = notifier();
    (1..50).for_each(|user| join(&storage, user, ROOM));
    let member = notifier.register(ShortUserId(49), device_id!("A"));
    let stranger = notifier.register(ShortUserId(50), device_id!("A"));
    announce(&storage, &notifier, ChangeScope::Room(ROOM));
    assert!(news(&member) && !news(&stranger));
}

#[test]
fn a_user_change_wakes_that_users_devices() {
    let (storage, notifier) = notifier();
    let one = notifier.register(ShortUserId(1), device_id!("A"));
    let two = notifier.register(ShortUserId(2), device_id!("A"));
    announce(&storage, &notifier, ChangeScope::User(ShortUserId(2)));
    assert!(!news(&one) && news(&two));
}

#[test]
fn a_change_between_registering_and_waiting_is_not_lost() {
    let (storage, notifier) = notifier();
    join(&storage, 1, ROOM);
    let registration = notifier.register(ShortUserId(1), device_id!("A"));
    notifier.room_changed(ROOM);
    notifier.settle();
    assert!(news(&registration));
}

#[test]
fn stopping_ends_waits_present_and_future() {
    let (_storage, notifier) = notifier();
    let before = notifier.register(ShortUserId(1), device_id!("A"));
    notifier.stop();
    let after = notifier.register(ShortUserId(1), device_id!("A"));
    assert_eq!(state(&before), Poll::Ready(Woken::Ended));
    assert_eq!(state(&after), Poll::Ready(Woken::Ended));
}

#[test]
fn a_device_keeps_its_newest_waits() {
    let (_storage, notifier) = notifier();
    let other = notifier.register(ShortUserId(1), device_id!("B"));
    let waits: Vec<_> = (0..=limits::WAITERS_PER_DEVICE_MAX)
        .map(|_| notifier.register(ShortUserId(1), device_id!("A")))
        .collect();
    assert_eq!(state(&waits[0]), Poll::Ready(Woken::Ended));
    assert!(waits[1..].iter().chain([&other]).all(|wait| state(wait).is_pending()));
    drop((waits, other));
    assert_eq!(notifier.waiting(), 0, "a dropped registration leaves nothing behind");
}

#[test]
fn more_changes_than_are_told_apart_wake_everybody() {
    let mut pending = Pending::default();
    (0..=limits::PENDING_CHANGES_MAX as u64).for_each(|room| pending.add_room(ShortRoomId(room)));
    assert!(pending.everyone && pending.rooms.len() == limits::PENDING_CHANGES_MAX);
}
