use std::{collections::HashSet, thread};

use ruma::{OwnedDeviceId, RoomId, RoomVersionId, UserId};
use serde_json::{Value, json};

use super::*;
use crate::{
    rooms::{
        creation::{NewRoom, Preset},
        testing::{RoomsFixture, content},
    },
    storage::{
        Direction, Read, ShortUserId,
        records::Membership,
        tables::{
            EVENT_TRANSACTIONS, LOCAL_MEMBERS, MEMBERSHIPS, OWN_MEMBERSHIP_CHANGES, ROOM_CHANGE_POSITIONS,
            ROOM_CHANGES, ROOM_MEMBERS, STRIPPED_STATE, TIMELINE, TRANSACTION_ID_AGES, TRANSACTION_IDS,
        },
    },
};

fn user(name: &str) -> ruma::OwnedUserId {
    RoomsFixture::user(name)
}

fn message(sender: &UserId, body: &str) -> Draft {
    Draft::message(sender, "m.room.message", content(json!({"msgtype": "m.text", "body": body})))
}

#[test]
fn concurrent_writers_make_one_chain() {
    const THREADS: usize = 16;
    const MESSAGES: usize = 25;
    let fixture = RoomsFixture::new();
    let room = fixture.public_room(&user("alice"));
    for number in 0..THREADS {
        fixture.join(&room, &user(&format!("user{number}")));
    }
    let before = fixture.timeline(&room).len();
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (fixture, room) = (&fixture, &room);
            scope.spawn(move || {
                for count in 0..MESSAGES {
                    fixture.say(room, &user(&format!("user{number}")), &count.to_string());
                }
            });
        }
    });
    let events = fixture.timeline(&room);
    assert_eq!(events.len(), before + THREADS * MESSAGES);
    let ids: HashSet<_> = events.iter().map(|event| event.event_id()).collect();
    assert_eq!(ids.len(), events.len(), "each event once");
    for (before, after) in events.iter().zip(&events[1..]) {
        assert_eq!(after.prev_events(), [before.event_id().to_owned()], "a linear chain");
        assert_eq!(after.depth(), before.depth() + 1);
    }
    for number in 0..THREADS {
        let sender = user(&format!("user{number}"));
        let own = events.iter().filter(|event| event.sender() == sender && !event.is_state());
        let bodies: Vec<_> = own.map(|event| event.content_field::<String>("body").unwrap()).collect();
        let sent: Vec<_> = (0..MESSAGES).map(|count| count.to_string()).collect();
        assert_eq!(bodies, sent, "each sender's events in order");
    }
    assert_positions_ascend(&fixture, &room);
}

fn assert_positions_ascend(fixture: &RoomsFixture, room: &RoomId) {
    let short = fixture.short(room);
    let rows = fixture.storage.scan(&TIMELINE, &TIMELINE.prefix(&(short,)), Direction::Forward);
    let rows: Vec<_> = rows.map(Result::unwrap).collect();
    for (number, ((_, key), (event, position))) in (1..).zip(&rows) {
        assert_eq!(key.0, number, "timeline keys have no gaps");
        let meta = fixture.events.meta(*event).unwrap().unwrap();
        assert_eq!((meta.timeline, meta.position), (Some(*key), *position));
    }
    assert!(rows.is_sorted_by(|a, b| a.1.1 < b.1.1));
    let newest = rows.last().unwrap().1.1;
    let changes = fixture.storage.scan(&ROOM_CHANGES, &ROOM_CHANGES.all(), Direction::Forward);
    let of_room: Vec<_> = changes.map(Result::unwrap).filter(|(_, changed)| *changed == short).collect();
    assert_eq!(of_room, [(newest, short)], "one row a room, at its newest change");
    assert_eq!(fixture.storage.get(&ROOM_CHANGE_POSITIONS, &short).unwrap(), Some(newest));
}

#[test]
fn state_before_an_event_is_the_state_it_was_sent_into() {
    let fixture = RoomsFixture::new();
    let alice = user("alice");
    let room = fixture.public_room(&alice);
    let set_topic = |topic: &str| {
        fixture.set_state(&room, &alice, "m.room.topic", "", json!({ "topic": topic })).unwrap()
    };
    let first = set_topic("first");
    let second = set_topic("second");
    let topic_before = |event_id: &ruma::EventId| {
        let stored = fixture.events.by_id(event_id).unwrap().unwrap();
        let before = StateRoot::from_bytes(stored.meta.state_before);
        fixture.states.get(before, "m.room.topic", "").unwrap()
    };
    assert_eq!(topic_before(&first), None);
    assert_eq!(topic_before(&second), fixture.storage.short_event_id(&first).unwrap());
    assert_eq!(fixture.state_content(&room, "m.room.topic", "")["topic"], "second");
}

#[test]
fn the_rules_are_asked_and_a_refusal_changes_nothing() {
    let fixture = RoomsFixture::new();
    let (alice, bob) = (user("alice"), user("bob"));
    let room = fixture.create(NewRoom::by(alice.clone()));
    let before = fixture.timeline(&room).len();
    for draft in [
        message(&bob, "not in the room"),
        Draft::state(&bob, "m.room.member", bob.as_str(), content(json!({"membership": "join"}))),
        Draft::state(&alice, "m.room.create", "", content(json!({}))),
        Draft::state(&alice, "m.room.member", "nobody", content(json!({"membership": "join"}))),
    ] {
        let outcome = fixture.append(&room, draft);
        assert!(matches!(outcome, Err(RoomError::Refused(_))), "{outcome:?}");
    }
    let unknown = RoomId::parse("!unknown:example.org").unwrap();
    let outcome = fixture.append(&unknown, message(&alice, "where?"));
    assert!(matches!(outcome, Err(RoomError::RoomNotFound(_))), "{outcome:?}");
    assert_eq!(fixture.timeline(&room).len(), before);
    let outcome = fixture.append(&room, message(&alice, &"x".repeat(70_000)));
    assert!(matches!(outcome, Err(RoomError::Build(_))), "{outcome:?}");
    fixture.say(&room, &alice, "still works");
}

#[test]
fn a_dropped_batch_has_changed_nothing_and_lets_others_in() {
    let fixture = RoomsFixture::new();
    let alice = user("alice");
    let room = fixture.public_room(&alice);
    let before = fixture.timeline(&room).len();
    let mut batch = fixture.appender.begin(&room).unwrap();
    batch.push(message(&alice, "never sent")).unwrap();
    drop(batch);
    fixture.say(&room, &alice, "sent");
    assert_eq!(fixture.timeline(&room).len(), before + 1);
}

#[test]
fn later_events_of_a_batch_are_checked_against_earlier_ones() {
    let fixture = RoomsFixture::new();
    let alice = user("alice");
    let room = fixture.public_room(&alice);
    let mut batch = fixture.appender.begin(&room).unwrap();
    let leave = content(json!({"membership": "leave"}));
    batch.push(Draft::state(&alice, "m.room.member", alice.as_str(), leave)).unwrap();
    let outcome = batch.push(message(&alice, "after leaving"));
    assert!(matches!(outcome, Err(RoomError::Refused(_))), "{outcome:?}");
}

struct Row {
    membership: Membership,
    in_local_members: bool,
    has_stripped_state: bool,
    counts: (u64, u64),
}

fn rows_of(fixture: &RoomsFixture, room: &RoomId, name: &str) -> Row {
    let room = fixture.short(room);
    let user = fixture.storage.short_user_id(&user(name)).unwrap().unwrap();
    let row = fixture.storage.get(&MEMBERSHIPS, &(user, room)).unwrap().unwrap();
    let members = fixture.storage.scan(&ROOM_MEMBERS, &ROOM_MEMBERS.prefix(&(room,)), Direction::Forward);
    let of_user: Vec<_> = members.map(Result::unwrap).filter(|((_, _, member), _)| *member == user).collect();
    assert_eq!(of_user, [((room, row.membership, user), row.event)], "one member row a user");
    Row {
        membership: row.membership,
        in_local_members: fixture.storage.contains(&LOCAL_MEMBERS, &(room, user)).unwrap(),
        has_stripped_state: fixture.storage.contains(&STRIPPED_STATE, &(user, room)).unwrap(),
        counts: fixture.index.member_counts(room).unwrap(),
    }
}

fn own_changes(fixture: &RoomsFixture, name: &str) -> usize {
    let user = fixture.storage.short_user_id(&user(name)).unwrap().unwrap();
    let range = OWN_MEMBERSHIP_CHANGES.prefix(&(user,));
    fixture.storage.scan(&OWN_MEMBERSHIP_CHANGES, &range, Direction::Forward).count()
}

#[test]
fn membership_rows_follow_the_events() {
    let fixture = RoomsFixture::new();
    let (alice, bob) = (user("alice"), user("bob"));
    let room = fixture.create(NewRoom::by(alice.clone()));
    let steps = [
        (&alice, "invite", Membership::Invite, (1, 1)),
        (&bob, "join", Membership::Join, (2, 0)),
        (&bob, "leave", Membership::Leave, (1, 0)),
        (&alice, "invite", Membership::Invite, (1, 1)),
        (&bob, "leave", Membership::Leave, (1, 0)),
        (&alice, "ban", Membership::Ban, (1, 0)),
        (&alice, "leave", Membership::Leave, (1, 0)),
        (&alice, "invite", Membership::Invite, (1, 1)),
        (&bob, "join", Membership::Join, (2, 0)),
        (&alice, "ban", Membership::Ban, (1, 0)),
    ];
    for (number, (sender, word, membership, counts)) in (1..).zip(steps) {
        fixture.set_membership(&room, sender, &bob, word).unwrap();
        let row = rows_of(&fixture, &room, "bob");
        assert_eq!((row.membership, row.counts), (membership, counts), "step {number}");
        assert_eq!(row.in_local_members, membership == Membership::Join, "step {number}");
        assert_eq!(row.has_stripped_state, membership == Membership::Invite, "step {number}");
        assert_eq!(own_changes(&fixture, "bob"), number);
    }
}

#[test]
fn a_new_name_is_no_new_membership() {
    let fixture = RoomsFixture::new();
    let alice = user("alice");
    let room = fixture.public_room(&alice);
    let short = fixture.storage.short_user_id(&alice).unwrap().unwrap();
    let before = fixture.index.membership(short, fixture.short(&room)).unwrap().unwrap();
    let renamed = json!({"membership": "join", "displayname": "Alice II"});
    fixture.set_state(&room, &alice, "m.room.member", alice.as_str(), renamed).unwrap();
    let after = fixture.index.membership(short, fixture.short(&room)).unwrap().unwrap();
    assert_eq!(after.position, before.position);
    assert_ne!(after.event, before.event);
    assert_eq!(own_changes(&fixture, "alice"), 1);
    assert_eq!(fixture.index.member_counts(fixture.short(&room)).unwrap(), (1, 0));
}

fn transaction(user: ShortUserId, path: &str, id: &str) -> ClientTransaction {
    ClientTransaction {
        user,
        device: OwnedDeviceId::from("PHONE"),
        path: path.to_owned(),
        transaction_id: id.to_owned(),
    }
}

/// Sends a message as the handlers do: at most once a transaction.
fn send_once(fixture: &RoomsFixture, room: &RoomId, path: &str, id: &str) -> ruma::OwnedEventId {
    let alice = user("alice");
    let short = fixture.storage.short_user_id(&alice).unwrap().unwrap();
    let transaction = transaction(short, path, id);
    let mut batch = fixture.appender.begin(room).unwrap();
    if let Some(sent) = batch.sent_before(&transaction).unwrap() {
        return sent;
    }
    let event = batch.push(message(&alice, "once")).unwrap();
    batch.commit(Some(&transaction)).unwrap();
    event.event_id().to_owned()
}

#[test]
fn a_transaction_sends_once_under_concurrency_and_after_a_restart() {
    let fixture = RoomsFixture::new();
    let room = fixture.public_room(&user("alice"));
    let before = fixture.timeline(&room).len();
    let ids: HashSet<_> = thread::scope(|scope| {
        let senders: Vec<_> =
            (0..16).map(|_| scope.spawn(|| send_once(&fixture, &room, "send", "txn"))).collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    assert_eq!(ids.len(), 1);
    assert_eq!(fixture.timeline(&room).len(), before + 1);

    let restarted = RoomsFixture::over(fixture.storage.clone());
    let again = send_once(&restarted, &room, "send", "txn");
    assert!(ids.contains(&again));
    assert!(!ids.contains(&send_once(&restarted, &room, "redact", "txn")), "another path is another request");
    assert_eq!(fixture.timeline(&room).len(), before + 2);
    let short = fixture.storage.short_event_id(&again).unwrap().unwrap();
    let sent_with = fixture.storage.get(&EVENT_TRANSACTIONS, &short).unwrap().unwrap();
    assert_eq!(sent_with, (OwnedDeviceId::from("PHONE"), "txn".to_owned()));
}

#[test]
fn transaction_ids_are_forgotten_after_a_day() {
    let fixture = RoomsFixture::new();
    let room = fixture.public_room(&user("alice"));
    let rows = || {
        let storage = &fixture.storage;
        [
            storage.scan(&TRANSACTION_IDS, &TRANSACTION_IDS.all(), Direction::Forward).count(),
            storage.scan(&TRANSACTION_ID_AGES, &TRANSACTION_ID_AGES.all(), Direction::Forward).count(),
            storage.scan(&EVENT_TRANSACTIONS, &EVENT_TRANSACTIONS.all(), Direction::Forward).count(),
        ]
    };
    for id in 0..200 {
        send_once(&fixture, &room, "send", &id.to_string());
    }
    assert_eq!(rows(), [200; 3]);
    fixture.clock.advance_ms(25 * 60 * 60 * 1_000);
    for id in 200..400 {
        send_once(&fixture, &room, "send", &id.to_string());
    }
    assert_eq!(rows(), [200; 3], "the old ones are gone, the new ones are not");
}

fn redactable(fixture: &RoomsFixture, version: RoomVersionId) -> ruma::OwnedRoomId {
    let room = fixture.create(NewRoom {
        version: Some(version),
        preset: Some(Preset::PublicChat),
        ..NewRoom::by(user("alice"))
    });
    fixture.join(&room, &user("bob"));
    fixture.join(&room, &user("carol"));
    room
}

#[test]
fn redactions_apply_at_once_in_every_version() {
    let fixture = RoomsFixture::new();
    for version in room_versions::SUPPORTED {
        let room = redactable(&fixture, version.clone());
        let target = fixture.say(&room, &user("bob"), "regretted");
        let draft = Draft::redaction(&user("bob"), &target, Some("a typo".to_owned()));
        let redaction = fixture.append(&room, draft).unwrap();
        let stored = fixture.events.by_id(&target).unwrap().unwrap();
        assert_eq!(stored.event.content_json(), "{}", "{version}");
        assert_eq!(stored.meta.redacted_by, fixture.storage.short_event_id(&redaction).unwrap());
        let redaction = fixture.events.by_id(&redaction).unwrap().unwrap().event;
        assert_eq!(redaction.redacts(), Some(&*target));
        let json: Value = serde_json::from_str(redaction.json()).unwrap();
        let at_top = !matches!(version, RoomVersionId::V11 | RoomVersionId::V12);
        assert_eq!(json.get("redacts").is_some(), at_top, "{version}");
        assert_eq!(json["content"].get("redacts").is_some(), !at_top, "{version}");

        // Redacting again keeps the first reason; and the room goes on.
        fixture.append(&room, Draft::redaction(&user("alice"), &target, None)).unwrap();
        let again = fixture.events.by_id(&target).unwrap().unwrap();
        assert_eq!(again.meta.redacted_by, stored.meta.redacted_by);
        fixture.say(&room, &user("bob"), "better");
    }
}

#[test]
fn redacting_needs_own_event_or_power() {
    let fixture = RoomsFixture::new();
    let room = redactable(&fixture, RoomVersionId::V12);
    let target = fixture.say(&room, &user("bob"), "mine");
    let outcome = fixture.append(&room, Draft::redaction(&user("carol"), &target, None));
    assert!(matches!(outcome, Err(RoomError::Forbidden(_))), "{outcome:?}");
    assert_ne!(fixture.events.by_id(&target).unwrap().unwrap().event.content_json(), "{}");

    let elsewhere = redactable(&fixture, RoomVersionId::V12);
    let outcome = fixture.append(&elsewhere, Draft::redaction(&user("bob"), &target, None));
    assert!(matches!(outcome, Err(RoomError::EventNotFound(_))), "{outcome:?}");
    let unknown = ruma::EventId::parse("$unknown").unwrap();
    let outcome = fixture.append(&room, Draft::redaction(&user("alice"), &unknown, None));
    assert!(matches!(outcome, Err(RoomError::EventNotFound(_))), "{outcome:?}");
    let create = fixture.state(&room, "m.room.create", "").unwrap();
    let outcome = fixture.append(&room, Draft::redaction(&user("alice"), create.event_id(), None));
    assert!(matches!(outcome, Err(RoomError::Forbidden(_))), "{outcome:?}");

    fixture.append(&room, Draft::redaction(&user("alice"), &target, None)).unwrap();
    assert_eq!(fixture.events.by_id(&target).unwrap().unwrap().event.content_json(), "{}");
}

#[test]
fn a_redaction_sent_as_an_event_takes_effect() {
    let fixture = RoomsFixture::new();
    for version in [RoomVersionId::V6, RoomVersionId::V12] {
        let room = redactable(&fixture, version);
        let target = fixture.say(&room, &user("bob"), "regretted");
        let sent = content(json!({"redacts": target.as_str(), "reason": "a typo"}));
        fixture.append(&room, Draft::message(&user("bob"), "m.room.redaction", sent)).unwrap();
        assert_eq!(fixture.events.by_id(&target).unwrap().unwrap().event.content_json(), "{}");
        let nothing = Draft::message(&user("bob"), "m.room.redaction", content(json!({})));
        let outcome = fixture.append(&room, nothing);
        assert!(matches!(outcome, Err(RoomError::BadContent(_))), "{outcome:?}");
    }
}
