use ruma::{RoomVersionId, owned_event_id};
use serde_json::{Value, json};

use super::*;
use crate::matrix::{
    room_versions::SUPPORTED,
    test_rooms::{CREATOR, TestRoom, key, server},
};

#[test]
fn a_redaction_has_its_target_where_the_version_wants_it() {
    for version in SUPPORTED {
        let room = TestRoom::new(&version);
        let mut draft = room.draft(CREATOR, "m.room.redaction", None, json!({"reason": "spam"}));
        draft.redacts = Some(owned_event_id!("$target:example.org"));
        let event = room.build(draft);
        assert_eq!(event.redacts().unwrap(), "$target:example.org", "{version}");
        let pdu: Value = serde_json::from_str(event.json()).unwrap();
        let in_content = room.rules.redaction.content_field_redacts;
        assert_eq!(pdu["content"].get("redacts").is_some(), in_content, "{version}");
        assert_eq!(pdu.get("redacts").is_some(), !in_content, "{version}");
    }
}

#[test]
fn versions_1_and_2_refer_by_hash_too() {
    let room = TestRoom::new(&RoomVersionId::V1);
    let pdu: Value = serde_json::from_str(room.last.as_ref().unwrap().json()).unwrap();
    let create = &room.events[0];
    let hash = ruma::signatures::reference_hash(&create.to_object().unwrap(), &room.rules).unwrap();
    assert_eq!(pdu["prev_events"], json!([[create.event_id(), {"sha256": hash}]]));

    let mut draft = room.draft(CREATOR, "m.room.topic", Some(""), json!({}));
    draft.prev_events = vec![create.event_id().to_owned().into()];
    let error = draft.build(&room.rules, server(), &key()).unwrap_err();
    assert!(matches!(error, BuildError::MissingReferenceHash(_)));
}

#[test]
fn events_of_versions_1_and_2_get_different_ids() {
    let room = TestRoom::new(&RoomVersionId::V2);
    let message = |body: &str| room.build(room.draft(CREATOR, "m.room.message", None, json!({"body": body})));
    assert_ne!(message("a").event_id(), message("b").event_id());
    assert_eq!(message("a").event_id().server_name().unwrap(), server());
}

#[test]
fn too_large_and_too_long_are_told_apart_from_other_errors() {
    let room = TestRoom::new(&RoomVersionId::V11);
    let build = |event_type: &str, body: &str| {
        room.draft(CREATOR, event_type, None, json!({"body": body})).build(&room.rules, server(), &key())
    };
    let Err(BuildError::Format(error)) = build("m.room.message", &"x".repeat(70_000)) else { panic!() };
    assert!(error.is_too_large());
    let Err(BuildError::Format(error)) = build(&"t".repeat(256), "") else { panic!() };
    assert!(error.is_too_large());
}

#[test]
fn only_a_version_12_create_event_has_no_room() {
    for version in [RoomVersionId::V11, RoomVersionId::V12] {
        let mut room = TestRoom::new(&version);
        room.room_id = None;
        let build = |event_type: &str| {
            room.draft(CREATOR, event_type, Some(""), json!({})).build(&room.rules, server(), &key())
        };
        assert!(matches!(build("m.room.topic"), Err(BuildError::MissingRoomId)));
        assert_eq!(build("m.room.create").is_ok(), version == RoomVersionId::V12);
    }
}

#[test]
fn depth_stops_at_the_limit_of_the_version() {
    for (version, limit) in
        [(RoomVersionId::V5, 9_223_372_036_854_775_807), (RoomVersionId::V6, 9_007_199_254_740_991)]
    {
        let room = TestRoom::new(&version);
        let mut draft = room.draft(CREATOR, "m.room.message", None, json!({}));
        draft.depth = u64::MAX;
        assert_eq!(room.build(draft).depth(), limit, "{version}");
    }
}
