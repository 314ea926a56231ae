//! The power levels that a successor starts and ends with, and those that close the old room.

use ruma::{CanonicalJsonObject, CanonicalJsonValue, Int, room_version_rules::RoomVersionRules};

use super::Upgrade;
use crate::{
    matrix::power_levels::LevelField,
    rooms::{RoomError, appender::RoomBatch},
};

/// The level of a room's creator, where creators have one.
const ADMIN: i64 = 100;
/// What ending a room takes where creators have power beyond all levels: more than any admin has.
const TOMBSTONE_BY_CREATORS: i64 = 150;
/// What speaking and inviting take in a room that was replaced, at the least.
const CLOSED: i64 = 50;

/// The levels of a successor.
pub(super) struct Carried {
    /// Those that it starts with.
    pub(super) first: CanonicalJsonObject,
    /// Those that it ends with, if they are others: who upgrades needs power until all is carried over.
    pub(super) last: Option<CanonicalJsonObject>,
}

/// The old room's levels in the form of the successor's version, which may have other creators.
pub(super) fn carried(
    batch: &RoomBatch,
    upgrade: &Upgrade<'_>,
    rules: &RoomVersionRules,
) -> Result<Carried, RoomError> {
    let mut levels = with_defaults(content(batch)?);
    let old = batch.power_levels()?;
    let is_new_kind = rules.authorization.explicitly_privilege_room_creators;
    let user = upgrade.user.to_string();
    let default = number(levels.get("users_default"));
    let users = object_in(&mut levels, "users");
    if is_new_kind {
        users.remove(&user);
        for creator in &upgrade.additional_creators {
            users.remove(creator.as_str());
        }
        let tombstone = "m.room.tombstone".to_owned();
        let events = object_in(&mut levels, "events");
        if !old.creators().are_privileged() && number(events.get(&tombstone)) < TOMBSTONE_BY_CREATORS {
            events.insert(tombstone, level(TOMBSTONE_BY_CREATORS));
        }
        return Ok(Carried { first: levels, last: None });
    }
    if old.creators().are_privileged() {
        for creator in old.creators().users() {
            users.insert(creator.to_string(), level(ADMIN));
        }
    }
    let own = users.get(&user).map_or(default, |own| number(Some(own)));
    let needed = highest(&levels);
    if own >= needed {
        return Ok(Carried { first: levels, last: None });
    }
    let mut first = levels.clone();
    object_in(&mut first, "users").insert(user, level(needed));
    Ok(Carried { first, last: Some(levels) })
}

/// The old room's levels with nothing to say for who has no power; `None` when that is so already.
pub(super) fn closed(batch: &RoomBatch) -> Result<Option<CanonicalJsonObject>, RoomError> {
    let levels = batch.power_levels()?;
    let least = levels.level(LevelField::UsersDefault)?.saturating_add(1).max(CLOSED);
    let before = content(batch)?;
    let mut content = before.clone();
    for (key, field) in [("events_default", LevelField::EventsDefault), ("invite", LevelField::Invite)] {
        content.insert(key.to_owned(), level(levels.level(field)?.max(least)));
    }
    Ok((content != before).then_some(content))
}

fn content(batch: &RoomBatch) -> Result<CanonicalJsonObject, RoomError> {
    let event = batch.state_event("m.room.power_levels", "")?;
    Ok(event.and_then(|event| event.content().ok()).unwrap_or_default())
}

/// The content with the spec's values for what it does not set, and with numbers for the texts that old room
/// versions allow.
fn with_defaults(mut content: CanonicalJsonObject) -> CanonicalJsonObject {
    for field in LevelField::ALL {
        let value = number_or(content.get(field.key()), field.default_level());
        content.insert(field.key().to_owned(), level(value));
    }
    for key in ["users", "events", "notifications"] {
        let entries = object_in(&mut content, key);
        for value in entries.values_mut() {
            *value = level(number(Some(value)));
        }
        if key == "notifications" && entries.is_empty() {
            content.remove(key);
        }
    }
    content
}

fn object_in<'c>(content: &'c mut CanonicalJsonObject, key: &str) -> &'c mut CanonicalJsonObject {
    let value = content.entry(key.to_owned()).or_insert(CanonicalJsonValue::Null);
    if !value.is_object() {
        *value = CanonicalJsonValue::Object(CanonicalJsonObject::new());
    }
    match value {
        CanonicalJsonValue::Object(object) => object,
        _ => unreachable!("it was just made an object"),
    }
}

/// The greatest level that any state or action asks for.
fn highest(levels: &CanonicalJsonObject) -> i64 {
    let fields = ["state_default", "ban", "kick", "invite", "redact"];
    let fields = fields.iter().map(|field| number(levels.get(*field)));
    let events = match levels.get("events") {
        Some(CanonicalJsonValue::Object(events)) => events.values().map(|value| number(Some(value))).max(),
        _ => None,
    };
    fields.chain(events).max().unwrap_or(ADMIN)
}

fn number(value: Option<&CanonicalJsonValue>) -> i64 {
    number_or(value, 0)
}

fn number_or(value: Option<&CanonicalJsonValue>, otherwise: i64) -> i64 {
    match value {
        Some(CanonicalJsonValue::Integer(number)) => (*number).into(),
        Some(CanonicalJsonValue::String(text)) => text.trim().parse().unwrap_or(otherwise),
        _ => otherwise,
    }
}

fn level(level: i64) -> CanonicalJsonValue {
    CanonicalJsonValue::Integer(Int::new_saturating(level))
}
