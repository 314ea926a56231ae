//! The rules, clause by clause, in the room versions where they differ. Each file tests one rule file.

mod auth_events;
mod create;
mod member;
mod other_types;
mod power_levels;
mod third_party_invite;

use std::{convert::Infallible, sync::Arc};

use ruma::RoomVersionId;

use super::{AuthError, AuthState, check_state_dependent};
use crate::matrix::{
    event::Event,
    room_versions::SUPPORTED,
    test_rooms::{CREATOR, TestRoom},
};

const ALICE: &str = "@alice:example.org";
const BOB: &str = "@bob:bob.example";

/// The number of a room version, so that tables can say "since".
fn number(version: &RoomVersionId) -> u32 {
    version.as_str().parse().unwrap()
}

/// A state that can't be read.
struct Unreadable;

impl AuthState for Unreadable {
    type Error = &'static str;

    fn state_event(&self, _: &str, _: &str) -> Result<Option<Arc<Event>>, &'static str> {
        Err("disk on fire")
    }
}

#[test]
fn an_unreadable_state_is_no_refusal() {
    let room = TestRoom::new(&RoomVersionId::V12);
    let event = room.last.clone().unwrap();
    let error = check_state_dependent(&event, &room.rules, &Unreadable).unwrap_err();
    assert!(matches!(error, AuthError::State("disk on fire")));
}

/// Counts look-ups: the cost of a check must not depend on the size of the room.
struct Counting<'a> {
    room: &'a TestRoom,
    reads: std::cell::Cell<usize>,
}

impl AuthState for Counting<'_> {
    type Error = Infallible;

    fn state_event(&self, event_type: &str, state_key: &str) -> Result<Option<Arc<Event>>, Infallible> {
        self.reads.set(self.reads.get() + 1);
        self.room.state_event(event_type, state_key)
    }
}

#[test]
fn a_check_reads_a_few_entries_only() {
    for version in SUPPORTED {
        let mut room = TestRoom::new(&version);
        room.put_join_rule("public");
        for user in 0..50 {
            room.put_member(&format!("@user{user}:example.org"), "join");
        }
        let message = room.build(room.draft(CREATOR, "m.room.message", None, serde_json::json!({})));
        let state = Counting { room: &room, reads: 0.into() };
        check_state_dependent(&message, &room.rules, &state).unwrap();
        assert_eq!(state.reads.get(), 3, "{version}: create event, sender, power levels");
    }
}
