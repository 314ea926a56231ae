use ruma::{RoomVersionId, user_id};
use serde_json::json;

use super::*;
use crate::matrix::test_rooms::TestRoom;

fn levels(version: &RoomVersionId, content: Option<serde_json::Value>) -> RoomPowerLevels {
    let mut room =
        TestRoom::with_create_content(version, json!({"additional_creators": ["@second:example.org"]}));
    if let Some(content) = content {
        room.put_levels(content);
    }
    let power_levels = room.state.get(&("m.room.power_levels".to_owned(), String::new()));
    RoomPowerLevels::of_events(&room.events[0], power_levels.map(AsRef::as_ref), &room.rules.authorization)
}

#[test]
fn defaults_without_an_event() {
    let levels = levels(&RoomVersionId::V11, None);
    assert_eq!(levels.user_level(user_id!("@creator:example.org")).unwrap(), 100);
    assert_eq!(levels.user_level(user_id!("@second:example.org")).unwrap(), 0);
    assert_eq!(levels.required_for_event("m.room.topic", true).unwrap(), 50);
    assert_eq!(levels.required_for_event("m.room.message", false).unwrap(), 0);
    for (field, level) in [
        (LevelField::Ban, 50),
        (LevelField::Kick, 50),
        (LevelField::Redact, 50),
        (LevelField::Invite, 0),
        (LevelField::StateDefault, 50),
    ] {
        assert_eq!(levels.level(field).unwrap(), level, "{field:?}");
    }
    assert_eq!(levels.required_for_notification("room").unwrap(), 50);
}

#[test]
fn an_event_sets_every_level() {
    let levels = levels(
        &RoomVersionId::V11,
        Some(json!({
            "users": {"@a:example.org": 7}, "users_default": 1, "events": {"m.room.topic": 8},
            "events_default": 2, "state_default": 3, "ban": 4, "kick": 5, "redact": 6, "invite": 9,
            "notifications": {"room": 10},
        })),
    );
    assert_eq!(levels.user_level(user_id!("@a:example.org")).unwrap(), 7);
    // With an event, the creator has what it says.
    assert_eq!(levels.user_level(user_id!("@creator:example.org")).unwrap(), 1);
    assert_eq!(levels.required_for_event("m.room.topic", true).unwrap(), 8);
    assert_eq!(levels.required_for_event("m.room.topic", false).unwrap(), 8);
    assert_eq!(levels.required_for_event("m.room.name", true).unwrap(), 3);
    assert_eq!(levels.required_for_event("m.room.message", false).unwrap(), 2);
    for (field, level) in
        [(LevelField::Ban, 4), (LevelField::Kick, 5), (LevelField::Redact, 6), (LevelField::Invite, 9)]
    {
        assert_eq!(levels.level(field).unwrap(), level, "{field:?}");
    }
    assert_eq!(levels.required_for_notification("room").unwrap(), 10);
    assert_eq!(levels.required_for_notification("other").unwrap(), 50);
}

#[test]
fn creators_of_version_12_have_infinite_power() {
    let levels = levels(&RoomVersionId::V12, Some(json!({"users_default": 5})));
    for user in [user_id!("@creator:example.org"), user_id!("@second:example.org")] {
        assert_eq!(levels.user_level(user).unwrap(), PowerLevel::Infinite);
        assert!(levels.user_level(user).unwrap() > i64::MAX);
    }
    assert_eq!(levels.user_level(user_id!("@other:example.org")).unwrap(), 5);
}

#[test]
fn a_malformed_field_only_hinders_what_needs_it() {
    let levels = levels(&RoomVersionId::V6, Some(json!({"ban": [], "kick": "10", "events": {"x": null}})));
    assert_eq!(levels.level(LevelField::Ban), Err(MalformedLevels("ban")));
    assert_eq!(levels.level(LevelField::Kick), Ok(10));
    assert_eq!(levels.required_for_event("y", true), Err(MalformedLevels("events")));
    assert_eq!(levels.user_level(user_id!("@a:example.org")), Ok(PowerLevel::Finite(0)));
}

#[test]
fn users_must_be_user_ids() {
    let levels = levels(&RoomVersionId::V6, Some(json!({"users": {"alice": 5}})));
    assert_eq!(levels.user_level(user_id!("@a:example.org")), Err(MalformedLevels("users")));
}

#[test]
fn a_redaction_needs_the_level_or_the_server() {
    let levels = levels(&RoomVersionId::V11, Some(json!({"users": {"@mod:other.example": 50}})));
    let sender = user_id!("@a:example.org");
    assert!(levels.may_redact(user_id!("@b:example.org"), sender).unwrap());
    assert!(levels.may_redact(user_id!("@mod:other.example"), sender).unwrap());
    assert!(!levels.may_redact(user_id!("@x:other.example"), sender).unwrap());
}

#[test]
fn levels_compare_with_numbers() {
    assert!(PowerLevel::Infinite > PowerLevel::Finite(i64::MAX));
    assert!(PowerLevel::Finite(5) >= 5);
    assert!(PowerLevel::Finite(5) < 6);
    assert_eq!(PowerLevel::Infinite.to_string(), "infinite");
}
