use ruma::{RoomVersionId, event_id, owned_event_id};
use serde_json::{Value, json};

use super::*;
use crate::matrix::{
    room_versions::SUPPORTED,
    test_rooms::{CREATOR, TestRoom},
};

fn value(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap()
}

#[test]
fn a_state_event_in_both_formats() {
    let room = TestRoom::new(&RoomVersionId::V12);
    let event = room.build(room.draft(CREATOR, "m.room.topic", Some("a\"\n"), json!({"topic": "ü\""})));
    let expected = json!({
        "content": {"topic": "ü\""}, "event_id": event.event_id(), "origin_server_ts": event.origin_server_ts(),
        "room_id": event.room_id(), "sender": CREATOR, "state_key": "a\"\n", "type": "m.room.topic",
    });
    let with = client_event(&event, ClientFormat::WithRoomId, &Unsigned::default()).unwrap();
    assert_eq!(value(&with), expected);
    let without = client_event(&event, ClientFormat::WithoutRoomId, &Unsigned::default()).unwrap();
    let mut expected = expected;
    expected.as_object_mut().unwrap().remove("room_id");
    assert_eq!(value(&without), expected);
}

#[test]
fn the_create_event_of_version_12_has_its_room_id() {
    let room = TestRoom::new(&RoomVersionId::V12);
    let create = client_event(&room.events[0], ClientFormat::WithRoomId, &Unsigned::default()).unwrap();
    assert_eq!(value(&create)["room_id"], json!(room.room_id));
}

#[test]
fn unsigned_has_what_is_given() {
    let room = TestRoom::new(&RoomVersionId::V11);
    let event = room.last.clone().unwrap();
    let raw = |json: &str| RawValue::from_string(json.to_owned()).unwrap();
    let (prev_content, because, relations) = (raw("{\"a\":1}"), raw("{\"b\":2}"), raw("{\"c\":3}"));
    let unsigned = Unsigned {
        sticky_left_ms: None,
        age: Some(-5),
        transaction_id: Some("txn\"1"),
        delay_id: Some("later"),
        membership: Some("join"),
        membership_unstable: Some("join"),
        prev_content: Some(&prev_content),
        prev_sender: Some("@p:example.org"),
        replaces_state: Some(event_id!("$replaced")),
        redacted_because: Some(&because),
        relations: Some(&relations),
    };
    let shown = client_event(&event, ClientFormat::WithoutRoomId, &unsigned).unwrap();
    assert_eq!(
        value(&shown)["unsigned"],
        json!({"age": -5, "transaction_id": "txn\"1", "membership": "join",
            "org.matrix.msc4140.delay_id": "later",
            "io.element.msc4115.membership": "join", "prev_content": {"a": 1},
            "prev_sender": "@p:example.org", "replaces_state": "$replaced", "redacted_because": {"b": 2},
            "m.relations": {"c": 3}})
    );
}

#[test]
fn a_redaction_has_its_target_in_both_places_in_every_version() {
    for version in SUPPORTED {
        let room = TestRoom::new(&version);
        let mut draft = room.draft(CREATOR, "m.room.redaction", None, json!({"reason": "x"}));
        draft.redacts = Some(owned_event_id!("$t:example.org"));
        let event = room.build(draft);
        let shown = value(&client_event(&event, ClientFormat::WithRoomId, &Unsigned::default()).unwrap());
        assert_eq!(shown["redacts"], "$t:example.org", "{version}");
        assert_eq!(shown["content"], json!({"reason": "x", "redacts": "$t:example.org"}), "{version}");
    }
}

#[test]
fn stripped_state_has_four_keys() {
    let room = TestRoom::new(&RoomVersionId::V11);
    assert_eq!(
        value(&stripped_state(room.last.as_ref().unwrap()).unwrap()),
        json!({"content": {"membership": "join"}, "sender": CREATOR, "state_key": CREATOR, "type": "m.room.member"})
    );
}

#[test]
fn nothing_of_the_federation_format_is_shown() {
    for version in SUPPORTED {
        let room = TestRoom::new(&version);
        for event in &room.events {
            let shown = value(&client_event(event, ClientFormat::WithRoomId, &Unsigned::default()).unwrap());
            for key in ["auth_events", "prev_events", "hashes", "signatures", "depth", "unsigned"] {
                assert!(shown.get(key).is_none(), "{version}: {key}");
            }
        }
    }
}
