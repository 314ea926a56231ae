//! The default power levels of a new room.

use ruma::{CanonicalJsonObject, CanonicalJsonValue, room_version_rules::RoomVersionRules};

use super::{NewRoom, Preset, drafts::object};

/// The level of creators and admins, where creators have a level at all.
const ADMIN: i64 = 100;
/// The level of moderators.
const MODERATOR: i64 = 50;
/// Above what any user has by default: where creators have infinite power, only they may end a room, since
/// the one who does becomes the creator of its successor.
const TOMBSTONE_BY_CREATORS: i64 = 150;

/// The content of the first power levels event: the defaults, then the caller's keys in their place.
pub(super) fn of(new: &NewRoom, rules: &RoomVersionRules) -> CanonicalJsonObject {
    let creators_are_privileged = rules.authorization.explicitly_privilege_room_creators;
    let tombstone = if creators_are_privileged { TOMBSTONE_BY_CREATORS } else { ADMIN };
    let events = object([
        ("m.room.avatar", level(MODERATOR)),
        ("m.room.canonical_alias", level(MODERATOR)),
        ("m.room.encryption", level(ADMIN)),
        ("m.room.history_visibility", level(ADMIN)),
        ("m.room.name", level(MODERATOR)),
        ("m.room.power_levels", level(ADMIN)),
        ("m.room.server_acl", level(ADMIN)),
        ("m.room.tombstone", level(tombstone)),
    ]);
    let invite = if new.preset() == Preset::PublicChat { MODERATOR } else { 0 };
    let mut content = object([
        ("ban", level(MODERATOR)),
        ("events", CanonicalJsonValue::Object(events)),
        ("events_default", level(0)),
        ("invite", level(invite)),
        ("kick", level(MODERATOR)),
        ("redact", level(MODERATOR)),
        ("state_default", level(MODERATOR)),
        ("users", CanonicalJsonValue::Object(users(new, creators_are_privileged))),
        ("users_default", level(0)),
    ]);
    content.extend(new.power_level_override.clone());
    content
}

fn users(new: &NewRoom, creators_are_privileged: bool) -> CanonicalJsonObject {
    let mut users = CanonicalJsonObject::new();
    // Creators with infinite power may not be listed; in a trusted chat, the invited are creators too.
    if creators_are_privileged {
        return users;
    }
    users.insert(new.creator.to_string(), level(ADMIN));
    if new.preset() == Preset::TrustedPrivateChat {
        users.extend(new.invite.iter().map(|user| (user.to_string(), level(ADMIN))));
    }
    users
}

fn level(level: i64) -> CanonicalJsonValue {
    CanonicalJsonValue::Integer(ruma::Int::new_saturating(level))
}
