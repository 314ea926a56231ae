//! The room versions that this server supports, and the rules of each.
//!
//! This is the only place that looks at a room version itself; everything else looks at the
//! [`RoomVersionRules`] that [`rules`] returns ([specification](https://spec.matrix.org/v1.19/rooms/)).

use ruma::{RoomVersionId, room_version_rules::RoomVersionRules};

/// The version of a room whose creator names none.
pub const DEFAULT: RoomVersionId = RoomVersionId::V12;

/// Every supported version, oldest first. All are stable.
pub const SUPPORTED: [RoomVersionId; 12] = [
    RoomVersionId::V1,
    RoomVersionId::V2,
    RoomVersionId::V3,
    RoomVersionId::V4,
    RoomVersionId::V5,
    RoomVersionId::V6,
    RoomVersionId::V7,
    RoomVersionId::V8,
    RoomVersionId::V9,
    RoomVersionId::V10,
    RoomVersionId::V11,
    RoomVersionId::V12,
];

/// The rules of a supported version; `None` for any other, which answers
/// `M_UNSUPPORTED_ROOM_VERSION` or `M_INCOMPATIBLE_ROOM_VERSION`.
pub fn rules(version: &RoomVersionId) -> Option<RoomVersionRules> {
    if SUPPORTED.contains(version) { version.rules() } else { None }
}

/// The version that the content of an `m.room.create` event names; absent means version 1.
pub fn of_create_content(content: &str) -> Result<RoomVersionId, serde_json::Error> {
    #[derive(serde::Deserialize)]
    struct CreateContent {
        #[serde(default = "version_1")]
        room_version: RoomVersionId,
    }
    fn version_1() -> RoomVersionId {
        RoomVersionId::V1
    }
    Ok(serde_json::from_str::<CreateContent>(content)?.room_version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_supported_version_has_rules_and_no_other() {
        for version in SUPPORTED {
            assert!(rules(&version).is_some(), "{version}");
        }
        assert!(rules(&RoomVersionId::try_from("org.example.13").unwrap()).is_none());
        assert!(SUPPORTED.contains(&DEFAULT));
    }

    #[test]
    fn a_create_event_without_version_is_version_1() {
        assert_eq!(of_create_content("{}").unwrap(), RoomVersionId::V1);
        assert_eq!(of_create_content(r#"{"room_version":"12"}"#).unwrap(), RoomVersionId::V12);
        assert!(of_create_content(r#"{"room_version":12}"#).is_err());
    }
}
