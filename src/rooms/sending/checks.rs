//! What this server asks of the content of certain state events, beyond the authorisation rules.

use std::collections::BTreeSet;

use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, OwnedRoomAliasId, RoomAliasId,
    room_version_rules::RoomVersionRules,
};
use serde_json::Value;

use crate::{
    matrix::{
        canonical_json,
        event::Event,
        power_levels::{LevelField, MalformedLevels, PowerLevels},
    },
    rooms::{
        Appender, RoomError,
        relations::{Relation, is_annotated, is_thread_of_a_child},
    },
    storage::{Read, ShortRoomId, Storage, tables::ALIASES},
};

/// Refuses a second reaction that says the same as the first, and a thread off an event that relates to
/// another one.
pub(super) fn check_relation(appender: &Appender, event: &Event) -> Result<(), RoomError> {
    let Some(relation) = Relation::of(event) else { return Ok(()) };
    if is_annotated(appender.storage(), event.sender(), event.event_type(), &relation)? {
        return Err(RoomError::DuplicateAnnotation);
    }
    if is_thread_of_a_child(appender.events(), &relation)? {
        return Err(RoomError::ThreadOfChild);
    }
    Ok(())
}

/// New aliases must be aliases, and name this room; those of `held`, which `event` replaces, are not looked
/// at.
pub(super) fn check_aliases(
    storage: &Storage,
    room: Option<ShortRoomId>,
    event: &Event,
    held: Option<&Event>,
) -> Result<(), RoomError> {
    let known = held.map(aliases_in).transpose().ok().flatten().unwrap_or_default();
    for alias in aliases_in(event)?.difference(&known) {
        let alias = <&RoomAliasId>::try_from(alias.as_str())
            .map_err(|_| RoomError::InvalidParameter(format!("{alias:?} is not a room alias")))?;
        let named = storage.get(&ALIASES, &OwnedRoomAliasId::from(alias))?.map(|(room, _)| room);
        if named.is_none() || named != room {
            return Err(RoomError::BadAlias(alias.to_owned()));
        }
    }
    Ok(())
}

/// The content of an `m.room.canonical_alias` event without one alias; `None` when it is not there. Keys
/// that hold nothing then are left out.
pub(super) fn without_alias(event: &Event, alias: &RoomAliasId) -> Option<CanonicalJsonObject> {
    let mut content: CanonicalJsonObject = event.content().ok()?;
    let before = content.clone();
    if content.get("alias").and_then(CanonicalJsonValue::as_str) == Some(alias.as_str()) {
        content.remove("alias");
    }
    if let Some(CanonicalJsonValue::Array(alternatives)) = content.get_mut("alt_aliases") {
        alternatives.retain(|alternative| alternative.as_str() != Some(alias.as_str()));
        if alternatives.is_empty() {
            content.remove("alt_aliases");
        }
    }
    (content != before).then_some(content)
}

/// The aliases of a room that is being made: there can be none but the one that is made with it.
pub(in crate::rooms) fn check_first_aliases(
    event: &Event,
    made: Option<&OwnedRoomAliasId>,
) -> Result<(), RoomError> {
    for alias in aliases_in(event)? {
        if made.is_none_or(|made| *made != alias) {
            let alias = OwnedRoomAliasId::try_from(alias.as_str())
                .map_err(|_| RoomError::InvalidParameter(format!("{alias:?} is not a room alias")))?;
            return Err(RoomError::BadAlias(alias));
        }
    }
    Ok(())
}

/// The aliases of an `m.room.canonical_alias` event; absent, null and empty all mean none.
fn aliases_in(event: &Event) -> Result<BTreeSet<String>, RoomError> {
    let wrong = |key: &str| RoomError::InvalidParameter(format!("`{key}` must hold room aliases"));
    let mut aliases = BTreeSet::new();
    match event.content_field::<Value>("alias") {
        None | Some(Value::Null) => {}
        Some(Value::String(alias)) if alias.is_empty() => {}
        Some(Value::String(alias)) => aliases.extend([alias]),
        Some(_) => return Err(wrong("alias")),
    }
    match event.content_field::<Value>("alt_aliases") {
        None | Some(Value::Null) => {}
        Some(Value::Array(alternatives)) => {
            for alias in alternatives {
                let Value::String(alias) = alias else { return Err(wrong("alt_aliases")) };
                aliases.insert(alias);
            }
        }
        Some(_) => return Err(wrong("alt_aliases")),
    }
    Ok(aliases)
}

/// Every field must have the form that the room's version asks for. Asked before the rules are: those of old
/// versions let malformed fields pass, and those of new ones don't tell them from a lack of power.
pub(super) fn check_levels(content: &CanonicalJsonObject, rules: &RoomVersionRules) -> Result<(), RoomError> {
    let levels = PowerLevels::parse(&canonical_json::to_string(content)?, &rules.authorization);
    malformed_field(&levels).map_err(|malformed| RoomError::BadContent(malformed.to_string()))
}

fn malformed_field(levels: &PowerLevels) -> Result<(), MalformedLevels> {
    for field in LevelField::ALL {
        levels.level(field)?;
    }
    levels.events()?;
    levels.notifications()?;
    levels.users()?;
    Ok(())
}
