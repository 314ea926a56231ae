use ruma::OwnedUserId;
use serde_json::json;

use super::*;
use crate::{
    rooms::{
        MemberProfiles, Memberships,
        testing::{RoomsFixture, content},
    },
    storage::ShortUserId,
    users::{ManualClock, fixture::Fixture},
};

struct World {
    rooms: RoomsFixture,
    sources: DelayedSources,
    clock: ManualClock,
    alice: OwnedUserId,
    user: ShortUserId,
    room: OwnedRoomId,
}

fn describe(error: RoomError) -> Box<RawValue> {
    serde_json::value::to_raw_value(&json!({ "error": error.to_string() })).unwrap()
}

fn world() -> World {
    let users = Fixture::new();
    let user = users.user("alice");
    let rooms = RoomsFixture::over(users.storage.clone());
    let memberships = Memberships::new(rooms.appender.clone(), MemberProfiles::stored(users.storage.clone()));
    let (clock, manual) = Clock::manual(1_700_000_000_000);
    let sources = DelayedSources {
        storage: users.storage.clone(),
        index: rooms.index.clone(),
        sender: EventSender::new(rooms.appender.clone(), memberships),
        accounts: users.accounts.clone(),
        clock,
        limits: DelayLimits { delay_ms_max: 10_000, scheduled_max: 3 },
        describe,
    };
    let room = rooms.public_room(&user.user_id);
    World { rooms, sources, clock: manual, alice: user.user_id, user: user.user, room }
}

impl World {
    /// The service, as after a restart.
    fn events(&self) -> DelayedEvents {
        DelayedEvents::new(self.sources.clone())
    }

    fn new_event(&self, delay_ms: u64, body: &str) -> NewDelayedEvent {
        NewDelayedEvent {
            room_id: self.room.clone(),
            sender: self.alice.clone(),
            user: self.user,
            event_type: "m.room.message".to_owned(),
            state_key: None,
            content: content(json!({ "body": body })),
            delay_ms,
            dated_ms: None,
            sticky_ms: None,
            transaction: None,
        }
    }

    fn topic(&self, delay_ms: u64, topic: &str) -> NewDelayedEvent {
        let content = content(json!({ "topic": topic }));
        let (event_type, state_key) = ("m.room.topic".to_owned(), Some(String::new()));
        NewDelayedEvent { event_type, state_key, content, ..self.new_event(delay_ms, "") }
    }

    fn said(&self) -> Vec<String> {
        let events = self.rooms.timeline(&self.room);
        events.iter().filter_map(|event| event.content_field::<String>("body")).collect()
    }
}

#[test]
fn what_is_due_is_sent_in_order_and_nothing_before_its_time() {
    let world = world();
    let events = world.events();
    for (delay_ms, body) in [(3_000, "third"), (1_000, "first"), (2_000, "second")] {
        events.schedule(world.new_event(delay_ms, body)).unwrap();
    }
    assert_eq!(events.of_user(world.user).unwrap().len(), 3);
    assert_eq!(events.send_due(), Some(1_000));
    world.clock.advance_ms(999);
    assert_eq!((events.send_due(), world.said().len()), (Some(1), 0));
    world.clock.advance_ms(1_001);
    assert_eq!(world.events().send_due(), Some(1_000), "a restart changes nothing");
    assert_eq!(world.said(), ["first", "second"]);
    world.clock.advance_ms(1_000);
    assert_eq!(events.send_due(), None);
    assert_eq!(world.said(), ["first", "second", "third"]);
    assert_eq!(events.of_user(world.user).unwrap().len(), 0);
}

#[test]
fn an_event_that_was_sent_before_a_crash_is_not_sent_again() {
    let world = world();
    let events = world.events();
    let message = events.schedule(world.new_event(1, "once")).unwrap();
    let state = events.schedule(world.topic(1, "once")).unwrap();
    for id in [message, state] {
        events.append(id, &events.record(id).unwrap()).unwrap();
    }
    let before = world.rooms.timeline(&world.room).len();
    world
        .rooms
        .set_state(&world.room, &world.alice, "m.room.topic", "", json!({ "topic": "newer" }))
        .unwrap();
    world.clock.advance_ms(1);
    assert_eq!(world.events().send_due(), None);
    assert_eq!(world.rooms.timeline(&world.room).len(), before + 1);
    assert_eq!(world.rooms.state_content(&world.room, "m.room.topic", "")["topic"], "newer");
    assert!(events.record(state).unwrap().outcome.unwrap().event_id.is_some());
}

#[test]
fn events_are_restarted_cancelled_and_sent_at_once() {
    let world = world();
    let events = world.events();
    let [one, two, three] =
        ["one", "two", "three"].map(|body| events.schedule(world.new_event(1_000, body)).unwrap());
    world.clock.advance_ms(600);
    events.restart(one).unwrap();
    events.cancel(two).unwrap();
    events.send(three).unwrap();
    assert_eq!(world.said(), ["three"]);
    assert_eq!(events.send_due(), Some(1_000), "the first begins anew");
    world.clock.advance_ms(1_000);
    assert_eq!(events.send_due(), None);
    assert_eq!(world.said(), ["three", "one"]);
    // The same again is fine; what was decided otherwise is a conflict.
    events.send(one).unwrap();
    events.cancel(two).unwrap();
    assert!(matches!(events.cancel(one), Err(DelayedError::AlreadySent)));
    assert!(matches!(events.restart(one), Err(DelayedError::AlreadySent)));
    assert!(matches!(events.send(two), Err(DelayedError::AlreadyCancelled)));
    assert!(matches!(events.restart(two), Err(DelayedError::AlreadyCancelled)));
    let unknown = DelayId([7; 16]);
    assert!(matches!(events.restart(unknown), Err(DelayedError::NotFound)));
    assert!(matches!(events.get(one, &RoomsFixture::user("bob")), Err(DelayedError::NotFound)));
}

#[test]
fn what_can_not_be_sent_when_it_is_due_is_told() {
    let world = world();
    let events = world.events();
    let id = events.schedule(world.new_event(1_000, "too late")).unwrap();
    world.rooms.set_membership(&world.room, &world.alice, &world.alice, "leave").unwrap();
    assert!(matches!(events.send(id), Err(DelayedError::Room(_))), "it stays scheduled");
    assert_eq!(events.of_user(world.user).unwrap().len(), 1);
    world.clock.advance_ms(1_000);
    assert_eq!(events.send_due(), None);
    let outcome = events.record(id).unwrap().outcome.unwrap();
    assert!(outcome.event_id.is_none() && outcome.error.is_some(), "{outcome:?}");
    assert!(events.schedule(world.new_event(1, "not in the room")).is_err());
}

#[test]
fn events_and_delays_are_bounded_and_old_outcomes_forgotten() {
    let world = world();
    let events = world.events();
    assert!(matches!(events.schedule(world.new_event(0, "")), Err(DelayedError::NoDelay)));
    assert!(matches!(events.schedule(world.new_event(10_001, "")), Err(DelayedError::TooLate { .. })));
    let first = events.schedule(world.new_event(1_000, "")).unwrap();
    for _ in 0..2 {
        events.schedule(world.new_event(2_000, "")).unwrap();
    }
    let refused = events.schedule(world.new_event(1, ""));
    assert!(matches!(refused, Err(DelayedError::TooMany { next_in_ms: 1_000 })), "{refused:?}");
    events.cancel(first).unwrap();
    for _ in 0..limits::DELAYED_DECIDED_MAX {
        world.clock.advance_ms(1);
        let id = events.schedule(world.new_event(1_000, "")).unwrap();
        events.cancel(id).unwrap();
    }
    assert!(matches!(events.record(first), Err(DelayedError::NotFound)));
    let rows = world.sources.storage.scan(&DELAYED_EVENTS, &DELAYED_EVENTS.all(), Direction::Forward).count();
    assert_eq!(rows, limits::DELAYED_DECIDED_MAX + 2);
}

#[test]
fn a_repeated_request_schedules_once() {
    let world = world();
    let events = world.events();
    let transaction = ClientTransaction {
        user: world.user,
        device: "PHONE".into(),
        path: "send/x".to_owned(),
        transaction_id: "1".to_owned(),
    };
    let new = || NewDelayedEvent { transaction: Some(transaction.clone()), ..world.new_event(1_000, "") };
    assert_eq!(events.scheduled_before(&transaction).unwrap(), None);
    let id = events.schedule(new()).unwrap();
    assert_eq!(events.scheduled_before(&transaction).unwrap(), Some(id));
    assert_eq!(events.schedule(new()).unwrap(), id);
    assert_eq!(events.of_user(world.user).unwrap().len(), 1);
}
