use ruma::{RoomVersionId, owned_event_id};
use serde_json::json;

use super::{ALICE, BOB, number};
use crate::matrix::{AuthRefusal, room_versions::SUPPORTED, test_rooms::TestRoom};

#[test]
fn only_members_send() {
    for version in SUPPORTED {
        for (membership, is_allowed) in
            [("join", true), ("invite", false), ("leave", false), ("ban", false), ("knock", false)]
        {
            let mut room = TestRoom::new(&version);
            room.put_member(ALICE, membership);
            let outcome = room.attempt(ALICE, "m.room.message", None, json!({}));
            assert_eq!(outcome.is_ok(), is_allowed, "{version} {membership}");
        }
        let room = TestRoom::new(&version);
        let refusal = AuthRefusal::SenderNotJoined(ALICE.try_into().unwrap());
        assert_eq!(room.attempt(ALICE, "m.room.message", None, json!({})), Err(refusal), "{version}");
    }
}

#[test]
fn the_required_level_depends_on_type_and_kind() {
    for version in SUPPORTED {
        for (event_type, state_key, is_allowed) in [
            ("m.room.message", None, true),
            ("m.room.topic", Some(""), false),
            ("m.room.topic", None, true),
            ("org.example.open", Some(""), true),
            ("org.example.closed", None, false),
        ] {
            let mut room = TestRoom::new(&version);
            room.put_member(ALICE, "join");
            room.put_levels(json!({
                "users": {ALICE: 10}, "events_default": 10, "state_default": 11,
                "events": {"org.example.open": 10, "org.example.closed": 11},
            }));
            let outcome = room.attempt(ALICE, event_type, state_key, json!({}));
            assert_eq!(outcome.is_ok(), is_allowed, "{version} {event_type} {state_key:?}: {outcome:?}");
        }
    }
}

#[test]
fn the_refusal_says_what_is_missing() {
    let mut room = TestRoom::new(&RoomVersionId::V12);
    room.put_member(ALICE, "join");
    let refusal = room.attempt(ALICE, "m.room.topic", Some(""), json!({})).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "@alice:example.org has power level 0, but to send m.room.topic needs 50"
    );
}

#[test]
fn state_keys_with_an_at_sign_are_for_their_user() {
    for version in SUPPORTED {
        let mut room = TestRoom::new(&version);
        room.put_member(ALICE, "join");
        room.put_levels(json!({"state_default": 0}));
        let attempt = |state_key: &str| room.attempt(ALICE, "org.example", Some(state_key), json!({}));
        assert_eq!(attempt(ALICE), Ok(()), "{version}");
        assert_eq!(attempt("plain"), Ok(()), "{version}");
        assert_eq!(attempt(BOB), Err(AuthRefusal::StateKeyOfAnotherUser), "{version}");
        assert_eq!(attempt("@"), Err(AuthRefusal::StateKeyOfAnotherUser), "{version}");
    }
}

#[test]
fn aliases_have_a_rule_before_version_6() {
    for version in SUPPORTED {
        let mut room = TestRoom::new(&version);
        room.put_member(ALICE, "join");
        let attempt = |sender: &str, state_key: Option<&str>| {
            room.attempt(sender, "m.room.aliases", state_key, json!({"aliases": []}))
        };
        if number(&version) < 6 {
            // Without membership or power.
            assert_eq!(attempt(BOB, Some("bob.example")), Ok(()), "{version}");
            let refusal = Err(AuthRefusal::AliasesOfOtherServer);
            assert_eq!(attempt(BOB, Some("example.org")), refusal, "{version}");
            assert_eq!(attempt(ALICE, None), refusal, "{version}");
        } else {
            let refusal = AuthRefusal::SenderNotJoined(BOB.try_into().unwrap());
            assert_eq!(attempt(BOB, Some("bob.example")), Err(refusal), "{version}");
            assert!(attempt(ALICE, Some("example.org")).is_err(), "{version}: state needs 50");
        }
    }
}

#[test]
fn redactions_have_a_rule_before_version_3() {
    for version in SUPPORTED {
        let mut room = TestRoom::new(&version);
        room.put_member(ALICE, "join");
        let attempt = |target: &str, room: &TestRoom| {
            let mut draft = room.draft(ALICE, "m.room.redaction", None, json!({}));
            draft.redacts = Some(target.try_into().unwrap());
            room.check(&room.build(draft))
        };
        let foreign = if number(&version) < 3 {
            Err(AuthRefusal::RedactionNotAllowed(ALICE.try_into().unwrap()))
        } else {
            Ok(())
        };
        assert_eq!(attempt("$a:bob.example", &room), foreign, "{version}");
        assert_eq!(attempt("$a:example.org", &room), Ok(()), "{version}");
        room.put_levels(json!({"users": {ALICE: 50}}));
        assert_eq!(attempt("$a:bob.example", &room), Ok(()), "{version}");
    }
    // A redaction of nothing is not of this server.
    let mut room = TestRoom::new(&RoomVersionId::V1);
    room.put_member(ALICE, "join");
    assert!(room.attempt(ALICE, "m.room.redaction", None, json!({})).is_err());
    let mut draft = room.draft(ALICE, "m.room.redaction", None, json!({}));
    draft.redacts = Some(owned_event_id!("$no_server"));
    assert!(room.check(&room.build(draft)).is_err());
}
