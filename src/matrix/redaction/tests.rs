use ruma::RoomVersionId;
use serde_json::{Value, json};

use super::*;
use crate::matrix::{
    room_versions::{self, SUPPORTED},
    test_rooms::{CREATOR, TestRoom},
};

fn redacted(version: &RoomVersionId, event_type: &str, content: &Value) -> Value {
    let rules = room_versions::rules(version).unwrap();
    let content = redact_content(&content.to_string(), event_type, &rules.redaction).unwrap();
    serde_json::from_str(&content).unwrap()
}

/// What each version keeps of contents that have every key of interest; versions not named are as the
/// one before them.
#[test]
fn content_per_version() {
    let member = json!({"membership": "join", "displayname": "A", "reason": "x",
        "join_authorised_via_users_server": "@a:b", "third_party_invite": {"signed": {"t": 1}, "d": 2}});
    let create =
        json!({"creator": "@a:b", "room_version": "9", "m.federate": false, "additional_creators": []});
    let join_rules = json!({"join_rule": "restricted", "allow": [], "other": 1});
    let levels = json!({"ban": 1, "events": {}, "events_default": 2, "invite": 3, "kick": 4, "redact": 5,
        "state_default": 6, "users": {}, "users_default": 7, "notifications": {}});
    let visibility = json!({"history_visibility": "shared", "other": 1});
    let aliases = json!({"aliases": ["#a:b"], "other": 1});
    let redaction = json!({"redacts": "$a", "reason": "x"});
    let message = json!({"body": "x"});

    let levels_before_11 = json!({"ban": 1, "events": {}, "events_default": 2, "kick": 4, "redact": 5,
        "state_default": 6, "users": {}, "users_default": 7});
    let levels_from_11 = json!({"ban": 1, "events": {}, "events_default": 2, "invite": 3, "kick": 4,
        "redact": 5, "state_default": 6, "users": {}, "users_default": 7});
    for version in SUPPORTED {
        let number: u32 = version.as_str().parse().unwrap();
        let expect = |event_type: &str, content: &Value, expected: Value| {
            assert_eq!(redacted(&version, event_type, content), expected, "{version} {event_type}");
        };
        expect(
            "m.room.member",
            &member,
            match number {
                ..=8 => json!({"membership": "join"}),
                9..=10 => json!({"membership": "join", "join_authorised_via_users_server": "@a:b"}),
                _ => json!({"membership": "join", "join_authorised_via_users_server": "@a:b",
                    "third_party_invite": {"signed": {"t": 1}}}),
            },
        );
        expect(
            "m.room.create",
            &create,
            if number < 11 { json!({"creator": "@a:b"}) } else { create.clone() },
        );
        expect(
            "m.room.join_rules",
            &join_rules,
            if number < 8 {
                json!({"join_rule": "restricted"})
            } else {
                json!({"join_rule": "restricted", "allow": []})
            },
        );
        expect(
            "m.room.power_levels",
            &levels,
            if number < 11 { levels_before_11.clone() } else { levels_from_11.clone() },
        );
        expect("m.room.history_visibility", &visibility, json!({"history_visibility": "shared"}));
        expect("m.room.aliases", &aliases, if number < 6 { json!({"aliases": ["#a:b"]}) } else { json!({}) });
        expect(
            "m.room.redaction",
            &redaction,
            if number < 11 { json!({}) } else { json!({"redacts": "$a"}) },
        );
        expect("m.room.message", &message, json!({}));
    }
}

#[test]
fn a_third_party_invite_that_is_no_object_is_removed() {
    let content = json!({"membership": "invite", "third_party_invite": "x"});
    assert_eq!(redacted(&RoomVersionId::V11, "m.room.member", &content), json!({"membership": "invite"}));
    let content = json!({"membership": "invite", "third_party_invite": {"x": 1}});
    assert_eq!(
        redacted(&RoomVersionId::V11, "m.room.member", &content),
        json!({"membership": "invite", "third_party_invite": {}})
    );
}

#[test]
fn top_level_keys_per_version() {
    let keys = |version: &RoomVersionId| {
        let mut object = RawObject::default();
        for key in [
            "event_id",
            "type",
            "room_id",
            "sender",
            "state_key",
            "hashes",
            "signatures",
            "depth",
            "prev_events",
            "prev_state",
            "auth_events",
            "origin",
            "origin_server_ts",
            "membership",
            "redacts",
            "unsigned",
            "age_ts",
            "custom",
        ] {
            object.insert(key, "1");
        }
        object.insert("content", "{}");
        let rules = room_versions::rules(version).unwrap();
        redact_object(&mut object, "m.room.message", &rules.redaction).unwrap();
        let object: Value = serde_json::from_str(&object.to_json()).unwrap();
        object.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ")
    };
    let mut before_11 = vec![
        "auth_events",
        "content",
        "depth",
        "event_id",
        "hashes",
        "membership",
        "origin",
        "origin_server_ts",
        "prev_events",
        "prev_state",
        "room_id",
        "sender",
        "signatures",
        "state_key",
        "type",
    ];
    for version in &SUPPORTED[..10] {
        assert_eq!(keys(version), before_11.join(" "), "{version}");
    }
    before_11.retain(|key| !matches!(*key, "membership" | "origin" | "prev_state"));
    for version in &SUPPORTED[10..] {
        assert_eq!(keys(version), before_11.join(" "), "{version}");
    }
}

#[test]
fn redaction_is_idempotent_and_equals_rumas() {
    for version in SUPPORTED {
        let mut room = TestRoom::new(&version);
        room.put_levels(json!({"ban": 50, "invite": 5, "users": {}}));
        room.put_state(CREATOR, "m.room.topic", "", json!({"topic": "x"}));
        for event in &room.events {
            let once = redact(event, &room.rules).unwrap();
            assert_eq!(redact(&once, &room.rules).unwrap().json(), once.json());
            let theirs =
                ruma::canonical_json::redact(event.to_object().unwrap(), &room.rules.redaction, None)
                    .unwrap();
            assert_eq!(once.json(), serde_json::to_string(&theirs).unwrap(), "{version}");
        }
    }
}
