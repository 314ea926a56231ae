use ruma::{OwnedRoomId, RoomVersionId, UserId, owned_event_id};
use serde_json::{Value, json};

use super::{ALICE, BOB, number};
use crate::matrix::{
    AuthRefusal,
    auth_rules::{AuthEvent, auth_types, check_state_independent},
    builder::EventReference,
    event::Event,
    room_versions::{self, SUPPORTED},
    test_rooms::{CREATOR, TestRoom},
};

/// A message in a room, whose auth events the test has changed.
fn outcome(
    room: &TestRoom,
    change: impl FnOnce(&mut Vec<EventReference>),
) -> (Result<(), AuthRefusal>, Event) {
    let mut draft = room.draft(CREATOR, "m.room.message", None, json!({}));
    change(&mut draft.auth_events);
    let event = room.build(draft);
    (room.check(&event), (*event).clone())
}

#[test]
fn the_selected_events_pass() {
    for version in SUPPORTED {
        let room = TestRoom::new(&version);
        let (outcome, event) = outcome(&room, |_| ());
        assert_eq!(outcome, Ok(()), "{version}");
        // Create event and member event; in version 12 the latter only.
        assert_eq!(event.auth_events().len(), if number(&version) < 12 { 2 } else { 1 });
    }
}

#[test]
fn an_unknown_entry_is_named() {
    let room = TestRoom::new(&RoomVersionId::V11);
    let (outcome, _) = outcome(&room, |refs| refs.push(owned_event_id!("$unknown").into()));
    assert_eq!(outcome, Err(AuthRefusal::MissingAuthEvent(owned_event_id!("$unknown"))));
}

#[test]
fn duplicates_are_refused() {
    for version in SUPPORTED {
        let room = TestRoom::new(&version);
        let (outcome, event) = outcome(&room, |refs| refs.push(refs.last().unwrap().clone()));
        let last = event.auth_events().last().unwrap().clone();
        assert_eq!(outcome, Err(AuthRefusal::DuplicateAuthEvent(last)), "{version}");
    }
}

#[test]
fn entries_that_are_not_selected_are_refused() {
    for version in SUPPORTED {
        let mut room = TestRoom::new(&version);
        room.put_join_rule("public");
        let rules_event = room.last.clone().unwrap();
        let (outcome, _) = outcome(&room, |refs| refs.push(room.reference(&rules_event)));
        let id = rules_event.event_id().to_owned();
        assert_eq!(outcome, Err(AuthRefusal::UnexpectedAuthEvent(id)), "{version}");
    }
}

#[test]
fn the_create_event_is_required_before_12_and_forbidden_since() {
    for version in SUPPORTED {
        let room = TestRoom::new(&version);
        let create = room.events[0].clone();
        if number(&version) < 12 {
            let (outcome, _) =
                outcome(&room, |refs| refs.retain(|entry| entry.event_id != create.event_id()));
            assert_eq!(outcome, Err(AuthRefusal::NoCreateEvent), "{version}");
        } else {
            let (outcome, _) = outcome(&room, |refs| refs.push(room.reference(&create)));
            let id = create.event_id().to_owned();
            assert_eq!(outcome, Err(AuthRefusal::UnexpectedAuthEvent(id)), "{version}");
        }
    }
}

#[test]
fn rejected_entries_are_refused() {
    for version in SUPPORTED {
        let room = TestRoom::new(&version);
        let event = room.build(room.draft(CREATOR, "m.room.message", None, json!({})));
        let known = |rejected_index: usize| -> Vec<AuthEvent> {
            let events = room.events.iter().enumerate();
            events
                .map(|(i, event)| AuthEvent { event: event.clone(), rejected: i == rejected_index })
                .collect()
        };
        let check =
            |known: Vec<AuthEvent>| check_state_independent(&event, &room.rules, &known, known.first());
        assert_eq!(check(known(9)), Ok(()));
        let member = room.events[1].event_id().to_owned();
        assert_eq!(check(known(1)), Err(AuthRefusal::RejectedAuthEvent(member)), "{version}");
        let create = room.events[0].event_id().to_owned();
        let expected = match number(&version) {
            ..12 => AuthRefusal::RejectedAuthEvent(create),
            _ => AuthRefusal::NoCreateEvent,
        };
        assert_eq!(check(known(0)), Err(expected), "{version}");
    }
}

#[test]
fn since_12_the_room_must_have_an_accepted_create_event() {
    let room = TestRoom::new(&RoomVersionId::V12);
    let event = room.last.clone().unwrap();
    assert_eq!(check_state_independent(&event, &room.rules, &[], None), Err(AuthRefusal::NoCreateEvent));
    let other = TestRoom::with_create_content(&RoomVersionId::V12, json!({"other": true}));
    let create = AuthEvent { event: other.events[0].clone(), rejected: false };
    assert_eq!(
        check_state_independent(&event, &room.rules, &[], Some(&create)),
        Err(AuthRefusal::NoCreateEvent)
    );
    let member = AuthEvent { event: room.events[1].clone(), rejected: false };
    assert_eq!(
        check_state_independent(&event, &room.rules, &[], Some(&member)),
        Err(AuthRefusal::NoCreateEvent)
    );
}

#[test]
fn entries_of_another_room_are_refused() {
    for version in SUPPORTED {
        let mut room = TestRoom::new(&version);
        let mut draft = room.draft(CREATOR, "m.room.power_levels", Some(""), json!({}));
        draft.room_id = Some(OwnedRoomId::try_from("!elsewhere:example.org").unwrap());
        let foreign = room.build(draft);
        room.events.push(foreign.clone());
        let (outcome, _) = outcome(&room, |refs| refs.push(room.reference(&foreign)));
        let id = foreign.event_id().to_owned();
        assert_eq!(outcome, Err(AuthRefusal::AuthEventOfOtherRoom(id)), "{version}");
    }
}

#[test]
fn selection_per_type_and_version() {
    let select = |version: &RoomVersionId, event_type: &str, state_key: Option<&str>, content: Value| {
        let rules = room_versions::rules(version).unwrap();
        let sender = <&UserId>::try_from(ALICE).unwrap();
        auth_types(event_type, sender, state_key, &content.to_string(), &rules)
            .into_iter()
            .map(|(event_type, key)| format!("{}|{key}", event_type.trim_start_matches("m.room.")))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let member =
        |version: &RoomVersionId, content: Value| select(version, "m.room.member", Some(BOB), content);
    let base = format!("create| power_levels| member|{ALICE}");
    let v10 = &RoomVersionId::V10;
    assert_eq!(select(v10, "m.room.create", Some(""), json!({})), "");
    assert_eq!(select(v10, "m.room.message", None, json!({})), base);
    assert_eq!(select(v10, "m.room.topic", Some(BOB), json!({})), base);
    assert_eq!(
        select(&RoomVersionId::V12, "m.room.message", None, json!({})),
        format!("power_levels| member|{ALICE}")
    );
    for membership in ["leave", "ban"] {
        assert_eq!(member(v10, json!({"membership": membership})), format!("{base} member|{BOB}"));
    }
    for membership in ["join", "invite", "knock"] {
        let expected = format!("{base} member|{BOB} join_rules|");
        assert_eq!(member(v10, json!({"membership": membership})), expected);
    }
    // The sender's own membership is listed once.
    assert_eq!(select(v10, "m.room.member", Some(ALICE), json!({"membership": "leave"})), base);
    let third_party = json!({"signed": {"token": "tok"}});
    let invite = json!({"membership": "invite", "third_party_invite": third_party});
    assert_eq!(member(v10, invite), format!("{base} member|{BOB} join_rules| third_party_invite|tok"));
    let restricted = json!({"membership": "join", "join_authorised_via_users_server": CREATOR});
    let with_authoriser = format!("{base} member|{BOB} join_rules| member|{CREATOR}");
    assert_eq!(member(&RoomVersionId::V8, restricted.clone()), with_authoriser);
    assert_eq!(member(&RoomVersionId::V7, restricted), format!("{base} member|{BOB} join_rules|"));
    // Nothing of a content that makes no sense.
    assert_eq!(member(v10, json!({"membership": 5})), format!("{base} member|{BOB}"));
}
