use proptest::prelude::*;
use ruma::RoomVersionId;
use serde_json::{Value, json};

use super::*;
use crate::matrix::{
    redaction::redact,
    room_versions::{self, SUPPORTED},
    test_rooms::{CREATOR, TestRoom},
};

/// A PDU of room version 11 that has everything.
fn pdu() -> Value {
    json!({
        "auth_events": ["$a", "$b"], "prev_events": ["$c"], "content": {"body": "hi"}, "depth": 12,
        "hashes": {"sha256": "x"}, "signatures": {}, "origin_server_ts": 1_838_188_000_u64,
        "room_id": "!room:example.org", "sender": "@alice:example.org", "type": "m.room.message",
        "unsigned": {"age": 4612},
    })
}

fn parse(pdu: &Value, version: &RoomVersionId) -> Result<Event, EventFormatError> {
    Event::from_pdu(pdu.to_string().as_bytes(), &room_versions::rules(version).unwrap())
}

#[test]
fn fields_are_read_and_unsigned_is_dropped() {
    let event = parse(&pdu(), &RoomVersionId::V11).unwrap();
    assert_eq!(event.room_id(), "!room:example.org");
    assert_eq!(event.sender(), "@alice:example.org");
    assert_eq!(event.event_type(), "m.room.message");
    assert_eq!(event.state_key(), None);
    assert_eq!(event.depth(), 12);
    assert_eq!(event.origin_server_ts(), 1_838_188_000);
    assert_eq!(event.auth_events(), ["$a", "$b"]);
    assert_eq!(event.prev_events(), ["$c"]);
    assert_eq!(event.content_json(), r#"{"body":"hi"}"#);
    assert_eq!(event.content_field::<String>("body").unwrap(), "hi");
    assert_eq!(event.content_field::<u64>("body"), None);
    assert!(!event.json().contains("unsigned"));
}

#[test]
fn malformed_pdus_are_refused() {
    let refused = |key: &str, value: Value| {
        let mut pdu = pdu();
        pdu[key] = value;
        parse(&pdu, &RoomVersionId::V11).unwrap_err()
    };
    for (key, value) in [
        ("content", json!([])),
        ("content", json!(null)),
        ("depth", json!(-1)),
        ("depth", json!("1")),
        ("origin_server_ts", json!("1")),
        ("room_id", json!("room")),
        ("room_id", json!(null)),
        ("room_id", json!(format!("!{}:example.org", "a".repeat(250)))),
        ("sender", json!("alice")),
        ("sender", json!(format!("@{}:example.org", "a".repeat(250)))),
        ("type", json!(5)),
        ("state_key", json!(null)),
        ("state_key", json!(1)),
        ("prev_events", json!({})),
        ("prev_events", json!([["$a", {"sha256": "x"}]])),
        ("prev_events", json!(vec!["$a"; 21])),
        ("auth_events", json!([1])),
        ("auth_events", json!(vec!["$a"; 11])),
    ] {
        let error = refused(key, value.clone());
        assert!(!error.is_too_large(), "{key} {value}: {error}");
    }
    for (key, value) in [
        ("type", json!("t".repeat(256))),
        ("state_key", json!("ä".repeat(128))),
        ("content", json!({"body": "x".repeat(65_536)})),
    ] {
        let error = refused(key, value);
        assert!(error.is_too_large(), "{key}: {error}");
    }
    for key in
        ["content", "depth", "origin_server_ts", "room_id", "sender", "type", "prev_events", "auth_events"]
            .into_iter()
            .chain(["hashes", "signatures"])
    {
        let mut pdu = pdu();
        pdu.as_object_mut().unwrap().remove(key);
        assert!(parse(&pdu, &RoomVersionId::V11).is_err(), "without {key}");
    }
}

#[test]
fn limits_are_inclusive() {
    let mut pdu = pdu();
    pdu["type"] = json!("t".repeat(255));
    pdu["state_key"] = json!("k".repeat(255));
    pdu["prev_events"] = json!(vec!["$a"; 20]);
    pdu["auth_events"] = json!(vec!["$a"; 10]);
    pdu["unsigned"] = json!({});
    pdu["content"] = json!({"body": ""});
    let base = parse(&pdu, &RoomVersionId::V11).unwrap().json().len();
    pdu["content"] = json!({"body": "x".repeat(PDU_BYTES_MAX - base)});
    assert_eq!(parse(&pdu, &RoomVersionId::V11).unwrap().json().len(), PDU_BYTES_MAX);
    pdu["content"] = json!({"body": "x".repeat(PDU_BYTES_MAX - base + 1)});
    assert!(matches!(parse(&pdu, &RoomVersionId::V11), Err(EventFormatError::TooLarge(65_537))));
}

#[test]
fn types_and_state_keys_are_counted_in_characters_before_version_11() {
    let mut pdu = pdu();
    pdu["state_key"] = json!("\u{1f4a5}".repeat(70));
    assert!(parse(&pdu, &RoomVersionId::V10).is_ok());
    let refused = parse(&pdu, &RoomVersionId::V11);
    assert!(matches!(refused, Err(EventFormatError::FieldTooLong("state_key"))));
    pdu["state_key"] = json!("\u{1f4a5}".repeat(256));
    assert!(parse(&pdu, &RoomVersionId::V10).is_err());
}

#[test]
fn versions_1_and_2_have_ids_and_reference_pairs() {
    let mut pdu = pdu();
    pdu["event_id"] = json!("$mine:example.org");
    pdu["prev_events"] = json!([["$c:example.org", {"sha256": "x"}]]);
    pdu["auth_events"] = json!([["$a:example.org", {"sha256": "x"}]]);
    for version in [RoomVersionId::V1, RoomVersionId::V2] {
        let event = parse(&pdu, &version).unwrap();
        assert_eq!(event.event_id(), "$mine:example.org");
        assert_eq!(event.prev_events(), ["$c:example.org"]);
    }
    pdu["event_id"] = json!("$mine");
    assert!(matches!(parse(&pdu, &RoomVersionId::V1), Err(EventFormatError::Identifier("event_id"))));
    pdu["event_id"] = json!(format!("${}:example.org", "a".repeat(300)));
    assert!(parse(&pdu, &RoomVersionId::V1).is_err());
    pdu.as_object_mut().unwrap().remove("event_id");
    assert!(matches!(parse(&pdu, &RoomVersionId::V1), Err(EventFormatError::Missing("event_id"))));
}

#[test]
fn floats_are_kept_in_versions_1_to_5_only() {
    let mut pdu = pdu();
    pdu["content"] = json!({"level": 50.57});
    for version in SUPPORTED {
        let rules = room_versions::rules(&version).unwrap();
        if rules.event_format.require_event_id {
            continue;
        }
        let result = parse(&pdu, &version);
        if rules.authorization.strict_canonical_json {
            assert!(matches!(result, Err(EventFormatError::CanonicalJson(_))), "{version}");
        } else {
            assert_eq!(result.unwrap().content_json(), r#"{"level":50.57}"#, "{version}");
        }
    }
}

#[test]
fn event_ids_equal_rumas_reference_hashes() {
    for version in SUPPORTED {
        let rules = room_versions::rules(&version).unwrap();
        let room = TestRoom::new(&version);
        for event in &room.events {
            let hash = ruma::signatures::reference_hash(&event.to_object().unwrap(), &rules).unwrap();
            if rules.event_format.require_event_id {
                assert!(event.event_id().as_str().ends_with(":example.org"), "{version}");
            } else {
                assert_eq!(event.event_id().as_str(), format!("${hash}"), "{version}");
            }
        }
    }
}

#[test]
fn a_version_12_room_is_named_after_its_create_event() {
    let room = TestRoom::new(&RoomVersionId::V12);
    let create = &room.events[0];
    assert_eq!(create.room_id().as_str()[1..], create.event_id().as_str()[1..]);
    assert!(!create.json().contains("room_id"));
    assert_eq!(create_event_id_of_room(create.room_id()).unwrap(), create.event_id());
    // A create event that names a room is not one.
    let mut pdu: Value = serde_json::from_str(create.json()).unwrap();
    pdu["room_id"] = json!(create.room_id());
    assert!(matches!(parse(&pdu, &RoomVersionId::V12), Err(EventFormatError::Forbidden("room_id"))));
    // And every other event must.
    let mut pdu: Value = serde_json::from_str(room.events[1].json()).unwrap();
    pdu.as_object_mut().unwrap().remove("room_id");
    assert!(matches!(parse(&pdu, &RoomVersionId::V12), Err(EventFormatError::Missing("room_id"))));
}

#[test]
fn the_target_of_a_redaction_is_found_where_the_version_puts_it() {
    let mut pdu = pdu();
    pdu["type"] = json!("m.room.redaction");
    pdu["redacts"] = json!("$top");
    pdu["content"] = json!({"redacts": "$content"});
    assert_eq!(parse(&pdu, &RoomVersionId::V10).unwrap().redacts().unwrap(), "$top");
    assert_eq!(parse(&pdu, &RoomVersionId::V11).unwrap().redacts().unwrap(), "$content");
    pdu["redacts"] = json!(5);
    assert_eq!(parse(&pdu, &RoomVersionId::V10).unwrap().redacts(), None);
    pdu["redacts"] = json!("$top");
    pdu["type"] = json!("m.room.message");
    assert_eq!(parse(&pdu, &RoomVersionId::V10).unwrap().redacts(), None);
}

fn any_version() -> impl Strategy<Value = RoomVersionId> {
    prop::sample::select(SUPPORTED.to_vec())
}

proptest! {
    /// Building, sending and storing an event lose nothing, and redacting keeps its ID.
    #[test]
    fn build_parse_store_redact(
        version in any_version(),
        body in any::<String>(),
        number in any::<i32>(),
        event_type in prop::sample::select(vec![
            "m.room.message", "m.room.topic", "m.room.member", "m.room.power_levels", "m.room.aliases", "ü",
        ]),
        state_key in prop::option::of("[@a-z:\"\\\\é]{0,10}"),
    ) {
        let room = TestRoom::new(&version);
        let content = json!({"body": body, "n": {"m": [number]}, "membership": "join", "users": {}});
        let event = room.build(room.draft(CREATOR, event_type, state_key.as_deref(), content.clone()));
        prop_assert_eq!(event.content::<Value>().unwrap(), content);

        let received = Event::from_pdu(event.json().as_bytes(), &room.rules).unwrap();
        prop_assert_eq!(received.event_id(), event.event_id());
        prop_assert_eq!(received.json(), event.json());
        prop_assert_eq!(received.state_key(), state_key.as_deref());
        prop_assert_eq!(received.event_type(), event_type);

        let stored = Event::from_stored(event.event_id().to_owned(), event.json(), &room.rules).unwrap();
        prop_assert_eq!(format!("{stored:?}"), format!("{received:?}"));

        let redacted = redact(&event, &room.rules).unwrap();
        prop_assert_eq!(redacted.event_id(), event.event_id());
        let received = Event::from_pdu(redacted.json().as_bytes(), &room.rules).unwrap();
        prop_assert_eq!(received.event_id(), event.event_id());
    }

    #[test]
    fn parsing_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), version in any_version()) {
        let _ = Event::from_pdu(&bytes, &room_versions::rules(&version).unwrap());
    }
}
