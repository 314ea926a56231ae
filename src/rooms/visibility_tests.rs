//! The spec's rules of history visibility, each with a room in which it decides.

use serde_json::json;

use super::stored_room::{ALICE, BOB, CAROL, StoredRoom};
use crate::{
    state::tree::StateRoot,
    storage::{
        ShortEventId, StorageError,
        records::{EventMeta, EventStatus, MembershipRow},
        tables::{EVENT_META, MEMBERSHIPS},
    },
};

/// A message before, and one after, Bob's invite, join and leave, under one setting.
struct Stages {
    room: StoredRoom,
    before: ShortEventId,
    invited: ShortEventId,
    joined: ShortEventId,
    left: ShortEventId,
}

fn stages(history: &str) -> Stages {
    let mut room = StoredRoom::new();
    room.history(history);
    let before = room.say(ALICE, "before");
    room.send(ALICE, "m.room.member", Some(BOB), json!({"membership": "invite"}));
    let invited = room.say(ALICE, "invited");
    room.member(BOB, "join");
    let joined = room.say(ALICE, "joined");
    room.member(BOB, "leave");
    let left = room.say(ALICE, "left");
    Stages { room, before, invited, joined, left }
}

fn seen_by_bob(stages: &Stages) -> [bool; 4] {
    [stages.before, stages.invited, stages.joined, stages.left].map(|event| stages.room.sees(BOB, event))
}

#[test]
fn a_former_member_sees_what_they_saw_before_they_left() {
    assert_eq!(seen_by_bob(&stages("joined")), [false, false, true, false]);
    assert_eq!(seen_by_bob(&stages("invited")), [false, true, true, false]);
    assert_eq!(seen_by_bob(&stages("shared")), [true, true, true, false]);
    assert_eq!(seen_by_bob(&stages("not understood")), [true, true, true, false]);
    assert_eq!(seen_by_bob(&stages("world_readable")), [true; 4]);
}

#[test]
fn a_member_who_came_back_sees_as_a_member() {
    let mut shared = stages("shared");
    shared.room.member(BOB, "join");
    assert_eq!(seen_by_bob(&shared), [true; 4]);
    let mut joined = stages("joined");
    joined.room.member(BOB, "join");
    assert_eq!(seen_by_bob(&joined), [false, false, true, false]);
}

#[test]
fn who_never_joined_sees_only_what_is_world_readable() {
    let shared = stages("shared");
    assert!(!shared.room.sees(CAROL, shared.joined));
    let world = stages("world_readable");
    assert!(world.room.sees(CAROL, world.joined));
    let mut invited = StoredRoom::new();
    let said = invited.say(ALICE, "hello");
    invited.send(ALICE, "m.room.member", Some(BOB), json!({"membership": "invite"}));
    assert!(!invited.sees(BOB, said), "an invite alone shows nothing");
    let viewer = invited.viewer(BOB);
    assert!(!invited.view(&viewer).may_read().unwrap());
}

#[test]
fn a_ban_or_a_new_invite_after_leaving_does_not_hide_what_was_seen() {
    let mut shared = stages("shared");
    shared.room.send(ALICE, "m.room.member", Some(BOB), json!({"membership": "invite"}));
    assert_eq!(seen_by_bob(&shared), [true, true, true, false]);
    shared.room.member(BOB, "leave");
    shared.room.send(ALICE, "m.room.member", Some(BOB), json!({"membership": "ban"}));
    assert_eq!(seen_by_bob(&shared), [true, true, true, false]);
}

#[test]
fn ones_own_join_and_leave_are_seen_under_joined() {
    let mut room = StoredRoom::new();
    room.history("joined");
    let join = room.member(BOB, "join");
    let leave = room.member(BOB, "leave");
    assert!(room.sees(BOB, join) && room.sees(BOB, leave));
    assert!(!room.sees(CAROL, join));
}

#[test]
fn a_change_of_history_visibility_is_seen_by_who_sees_either_side() {
    let mut room = StoredRoom::new();
    let opened = room.history("world_readable");
    let closed = room.history("joined");
    let again = room.history("shared");
    assert!(room.sees(CAROL, opened) && room.sees(CAROL, closed));
    assert!(!room.sees(CAROL, again));
}

#[test]
fn a_forgotten_room_shows_nothing() {
    let stages = stages("shared");
    let bob = stages.room.viewer(BOB);
    let key = (bob.user, stages.room.room);
    let row = stages.room.index.membership(bob.user, stages.room.room).unwrap().unwrap();
    let forget = |rows: &mut crate::storage::Transaction<'_>| {
        rows.put(&MEMBERSHIPS, &key, &MembershipRow { forgotten: true, ..row });
        Ok::<_, StorageError>(())
    };
    stages.room.storage.write(forget).unwrap();
    assert_eq!(seen_by_bob(&stages), [false; 4]);
}

#[test]
fn rejected_and_soft_failed_events_are_hidden() {
    for status in [EventStatus::SoftFailed, EventStatus::Rejected] {
        let mut room = StoredRoom::new();
        let said = room.say(ALICE, "hello");
        assert!(room.sees(ALICE, said));
        let meta = EventMeta { status, ..room.stored(said).meta };
        let hide = |rows: &mut crate::storage::Transaction<'_>| {
            rows.put(&EVENT_META, &said, &meta);
            Ok::<_, StorageError>(())
        };
        room.storage.write(hide).unwrap();
        assert!(!room.sees(ALICE, said));
    }
}

#[test]
fn former_members_read_the_state_when_they_left() {
    let mut room = StoredRoom::new();
    room.member(BOB, "join");
    let old = room.set("m.room.topic", json!({"topic": "old"}));
    room.member(BOB, "leave");
    let new = room.set("m.room.topic", json!({"topic": "new"}));
    let bob = room.viewer(BOB);
    let view = room.view(&bob);
    let state = view.state().unwrap().unwrap();
    assert_eq!(room.states.get(state, "m.room.topic", "").unwrap(), Some(old));
    assert!(view.state_event(old).unwrap().is_some());
    assert!(view.state_event(new).unwrap().is_none());
    let alice = room.viewer(ALICE);
    let state = room.view(&alice).state().unwrap().unwrap();
    assert_eq!(room.states.get(state, "m.room.topic", "").unwrap(), Some(new));
    let carol = room.viewer(CAROL);
    assert_eq!(room.view(&carol).state().unwrap(), None::<StateRoot>);
}

#[test]
fn a_state_from_before_ones_time_is_not_read_under_joined() {
    let mut room = StoredRoom::new();
    room.history("joined");
    let early = room.set("m.room.topic", json!({"topic": "early"}));
    let key = room.stored(early).meta.timeline.unwrap();
    room.member(BOB, "join");
    let (alice, bob) = (room.viewer(ALICE), room.viewer(BOB));
    let (by_alice, by_bob) = (room.view(&alice), room.view(&bob));
    let current = by_alice.state().unwrap();
    assert_ne!(by_alice.readable_state_at(key).unwrap(), current);
    assert_eq!(by_bob.readable_state_at(key).unwrap(), current);
}
