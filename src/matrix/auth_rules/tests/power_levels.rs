use ruma::RoomVersionId;
use serde_json::{Value, json};

use super::{ALICE, BOB, number};
use crate::matrix::{
    AuthRefusal,
    power_levels::MalformedLevels,
    room_versions::SUPPORTED,
    test_rooms::{CREATOR, TestRoom},
};

/// What becomes of Alice's change from `old` to `new`.
fn change(version: &RoomVersionId, old: Value, new: Value) -> Result<(), AuthRefusal> {
    let mut room = TestRoom::new(version);
    room.put_member(ALICE, "join");
    room.put_levels(old);
    room.attempt(ALICE, "m.room.power_levels", Some(""), new)
}

/// Alice at 50 may always send the event; `more` is merged in.
fn with(more: Value) -> Value {
    let mut content = json!({"users": {ALICE: 50}, "events": {"m.room.power_levels": 0}});
    for (key, value) in more.as_object().unwrap() {
        match (value.as_object(), content[key].as_object_mut()) {
            (Some(more), Some(known)) => known.extend(more.clone()),
            _ => content[key] = value.clone(),
        }
    }
    content
}

fn check(old: Value, new: Value, is_allowed: bool) {
    for version in SUPPORTED {
        let outcome = change(&version, with(old.clone()), with(new.clone()));
        assert_eq!(outcome.is_ok(), is_allowed, "{version} {old} -> {new}: {outcome:?}");
    }
}

#[test]
fn plain_levels_move_up_to_the_senders_own() {
    for field in ["users_default", "events_default", "state_default", "ban", "redact", "kick", "invite"] {
        check(json!({field: 10}), json!({field: 50}), true);
        check(json!({field: 50}), json!({field: 10}), true);
        check(json!({field: 50}), json!({}), true);
        check(json!({}), json!({field: 50}), true);
        check(json!({field: 10}), json!({field: 51}), false);
        check(json!({field: 51}), json!({field: 10}), false);
        check(json!({field: 51}), json!({field: 51}), true);
        check(json!({}), json!({field: 51}), false);
    }
}

#[test]
fn a_plain_level_that_is_absent_counts_as_its_default() {
    // Alice at 40 can't touch `ban`, whose default is 50, but `invite`, whose default is 0.
    let old = json!({"users": {ALICE: 40}, "events": {"m.room.power_levels": 0}});
    let mut ban = old.clone();
    ban["ban"] = json!(0);
    let mut invite = old.clone();
    invite["invite"] = json!(0);
    for version in SUPPORTED {
        assert!(change(&version, old.clone(), ban.clone()).is_err(), "{version}");
        assert_eq!(change(&version, old.clone(), invite.clone()), Ok(()), "{version}");
    }
}

#[test]
fn levels_of_event_types() {
    check(json!({"events": {"x": 50}}), json!({"events": {"x": 0}}), true);
    check(json!({"events": {"x": 50}}), json!({}), true);
    check(json!({}), json!({"events": {"x": 50}}), true);
    check(json!({}), json!({"events": {"x": 51}}), false);
    check(json!({"events": {"x": 51}}), json!({"events": {"x": 0}}), false);
    check(json!({"events": {"x": 51}}), json!({}), false);
    check(json!({"events": {"x": 51}}), json!({"events": {"x": 51, "y": 1}}), true);
}

#[test]
fn levels_of_notifications_count_since_version_6() {
    for (old, new) in [(json!({}), json!({"room": 51})), (json!({"room": 51}), json!({"room": 0}))] {
        for version in SUPPORTED {
            let outcome =
                change(&version, with(json!({"notifications": old})), with(json!({"notifications": new})));
            assert_eq!(outcome.is_ok(), number(&version) < 6, "{version}: {outcome:?}");
        }
    }
    check(json!({"notifications": {"room": 50}}), json!({"notifications": {"room": 0}}), true);
}

#[test]
fn levels_of_users() {
    check(json!({}), json!({"users": {BOB: 50}}), true);
    check(json!({}), json!({"users": {BOB: 51}}), false);
    check(json!({"users": {BOB: 49}}), json!({"users": {BOB: 50}}), true);
    check(json!({"users": {BOB: 49}}), json!({}), true);
    // Others of equal power are out of reach, oneself is not.
    check(json!({"users": {BOB: 50}}), json!({"users": {BOB: 49}}), false);
    check(json!({"users": {BOB: 50}}), json!({}), false);
    check(json!({"users": {ALICE: 50}}), json!({"users": {ALICE: 10}}), true);
    check(json!({"users": {ALICE: 50}}), json!({"users": {ALICE: 51}}), false);
}

#[test]
fn the_first_event_of_a_room_may_set_anything() {
    for version in SUPPORTED {
        let room = TestRoom::new(&version);
        let content = json!({"users": {ALICE: 1000}, "ban": 1000});
        assert_eq!(room.attempt(CREATOR, "m.room.power_levels", Some(""), content), Ok(()), "{version}");
    }
}

#[test]
fn creators_of_version_12_are_beyond_levels() {
    for version in SUPPORTED {
        for user in [CREATOR, BOB] {
            let room = TestRoom::with_create_content(&version, json!({"additional_creators": [BOB]}));
            let outcome = room.attempt(
                CREATOR,
                "m.room.power_levels",
                Some(""),
                json!({"users": {ALICE: 1, user: 100}}),
            );
            if number(&version) < 12 {
                assert_eq!(outcome, Ok(()), "{version}");
            } else {
                assert_eq!(outcome, Err(AuthRefusal::CreatorInPowerLevels(user.try_into().unwrap())));
            }
        }
    }
    // And may change what nobody else reaches.
    let mut room = TestRoom::new(&RoomVersionId::V12);
    room.put_levels(json!({"users": {ALICE: 1_000_000}, "ban": 1_000_000}));
    assert_eq!(room.attempt(CREATOR, "m.room.power_levels", Some(""), json!({"ban": 5})), Ok(()));
}

#[test]
fn malformed_levels_are_refused() {
    for version in SUPPORTED {
        for (field, value) in [
            ("ban", json!([])),
            ("users_default", json!(null)),
            ("events", json!(5)),
            ("events", json!({"x": true})),
            ("notifications", json!({"room": {}})),
            ("users", json!([])),
            ("users", json!({"alice": 5})),
            ("users", json!({ALICE: "x"})),
        ] {
            let room = TestRoom::new(&version);
            let outcome = room.attempt(CREATOR, "m.room.power_levels", Some(""), json!({field: value}));
            let Err(AuthRefusal::MalformedLevels(MalformedLevels(found))) = outcome else {
                panic!("{version} {field} {value}: {outcome:?}")
            };
            assert_eq!(found, field, "{version}");
        }
        let room = TestRoom::new(&version);
        let outcome = room.attempt(CREATOR, "m.room.power_levels", Some(""), json!({"ban": " +50 "}));
        assert_eq!(outcome.is_ok(), number(&version) < 10, "{version}: strings are levels before 10");
    }
}

#[test]
fn sending_the_event_needs_its_level() {
    for version in SUPPORTED {
        let old = json!({"users": {ALICE: 50}, "events": {"m.room.power_levels": 51}});
        let outcome = change(&version, old.clone(), old);
        assert!(matches!(outcome, Err(AuthRefusal::InsufficientPower { .. })), "{version}: {outcome:?}");
    }
}
