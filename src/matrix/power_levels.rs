//! Power levels of a room ([`m.room.power_levels`], and the definitions of the auth rules).
//!
//! [`PowerLevels`] is the content of one event; [`RoomPowerLevels`] adds the room's creators and the
//! defaults, and answers who may do what. Every field is judged on its own, so that an event of an old
//! room version with one malformed field only hinders what needs that field, as the auth rules have it.
//!
//! [`m.room.power_levels`]: https://spec.matrix.org/v1.19/client-server-api/#mroompower_levels

mod number;

use std::{cmp::Ordering, collections::BTreeMap, fmt, sync::Arc};

use ruma::{OwnedUserId, UserId, room_version_rules::AuthorizationRules};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{event::Event, raw_object::RawObject};

/// The level of a room's creator where no power levels event is and creators are not privileged.
const CREATOR_LEVEL_DEFAULT: i64 = 100;

/// How much power a user has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PowerLevel {
    /// An ordinary level.
    Finite(i64),
    /// More than any number: a creator in room version 12 and later.
    Infinite,
}

impl PartialEq<i64> for PowerLevel {
    fn eq(&self, other: &i64) -> bool {
        *self == Self::Finite(*other)
    }
}

impl PartialOrd<i64> for PowerLevel {
    fn partial_cmp(&self, other: &i64) -> Option<Ordering> {
        Some(self.cmp(&Self::Finite(*other)))
    }
}

impl fmt::Display for PowerLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finite(level) => level.fmt(f),
            Self::Infinite => f.write_str("infinite"),
        }
    }
}

/// The fields of the event that hold one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LevelField {
    /// `users_default`
    UsersDefault,
    /// `events_default`
    EventsDefault,
    /// `state_default`
    StateDefault,
    /// `ban`
    Ban,
    /// `redact`
    Redact,
    /// `kick`
    Kick,
    /// `invite`
    Invite,
}

impl LevelField {
    /// All of them, in the order of the auth rules.
    pub const ALL: [Self; 7] = [
        Self::UsersDefault,
        Self::EventsDefault,
        Self::StateDefault,
        Self::Ban,
        Self::Redact,
        Self::Kick,
        Self::Invite,
    ];

    /// The key in the content.
    pub fn key(self) -> &'static str {
        match self {
            Self::UsersDefault => "users_default",
            Self::EventsDefault => "events_default",
            Self::StateDefault => "state_default",
            Self::Ban => "ban",
            Self::Redact => "redact",
            Self::Kick => "kick",
            Self::Invite => "invite",
        }
    }

    /// The level where the field, or the whole event, is absent.
    pub fn default_level(self) -> i64 {
        match self {
            Self::UsersDefault | Self::EventsDefault | Self::Invite => 0,
            Self::StateDefault | Self::Ban | Self::Redact | Self::Kick => 50,
        }
    }
}

/// A field of a power levels event that is not in the form its room version asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` of the m.room.power_levels event is malformed")]
pub struct MalformedLevels(pub &'static str);

type Field<T> = Result<Option<T>, MalformedLevels>;

/// The content of an `m.room.power_levels` event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PowerLevels {
    /// In the order of [`LevelField::ALL`].
    levels: [Field<i64>; 7],
    events: Field<BTreeMap<String, i64>>,
    notifications: Field<BTreeMap<String, i64>>,
    users: Field<BTreeMap<OwnedUserId, i64>>,
}

impl PowerLevels {
    /// Reads the text of the content, an object. Never fails as a whole: see the fields.
    pub fn parse(content: &str, rules: &AuthorizationRules) -> Self {
        // An event's content is an object, so that the default (no field set) is never taken.
        let object = RawObject::parse(content).unwrap_or_default();
        let level = |field: LevelField| match object.get(field.key()) {
            None => Ok(None),
            Some(text) => number::parse_level(text, rules).map(Some).ok_or(MalformedLevels(field.key())),
        };
        Self {
            levels: LevelField::ALL.map(level),
            events: map_field(&object, "events", rules, |key| Some(key.to_owned())),
            notifications: map_field(&object, "notifications", rules, |key| Some(key.to_owned())),
            users: map_field(&object, "users", rules, |key| OwnedUserId::try_from(key).ok()),
        }
    }

    /// One of the plain levels, `None` if absent.
    pub fn level(&self, field: LevelField) -> Result<Option<i64>, MalformedLevels> {
        self.levels.get(field as usize).copied().unwrap_or(Ok(None))
    }

    /// One of the plain levels, or its default.
    pub fn level_or_default(&self, field: LevelField) -> Result<i64, MalformedLevels> {
        Ok(self.level(field)?.unwrap_or_else(|| field.default_level()))
    }

    /// Levels required for event types, by type.
    pub fn events(&self) -> Result<Option<&BTreeMap<String, i64>>, MalformedLevels> {
        self.events.as_ref().map(Option::as_ref).map_err(|error| *error)
    }

    /// Levels required to trigger notifications, by kind; `room` is the only kind defined.
    pub fn notifications(&self) -> Result<Option<&BTreeMap<String, i64>>, MalformedLevels> {
        self.notifications.as_ref().map(Option::as_ref).map_err(|error| *error)
    }

    /// Levels of users.
    pub fn users(&self) -> Result<Option<&BTreeMap<OwnedUserId, i64>>, MalformedLevels> {
        self.users.as_ref().map(Option::as_ref).map_err(|error| *error)
    }

    fn user_level(&self, user: &UserId) -> Result<i64, MalformedLevels> {
        match self.users()?.and_then(|users| users.get(user)) {
            Some(level) => Ok(*level),
            None => self.level_or_default(LevelField::UsersDefault),
        }
    }
}

/// A field that maps keys to levels; malformed if one key or one level is.
fn map_field<K: Ord>(
    object: &RawObject<'_>,
    field: &'static str,
    rules: &AuthorizationRules,
    parse_key: impl Fn(&str) -> Option<K>,
) -> Field<BTreeMap<K, i64>> {
    let Some(text) = object.get(field) else { return Ok(None) };
    let entries: BTreeMap<String, &RawValue> =
        serde_json::from_str(text).map_err(|_| MalformedLevels(field))?;
    entries
        .into_iter()
        .map(|(key, level)| Some((parse_key(&key)?, number::parse_level(level.get(), rules)?)))
        .collect::<Option<_>>()
        .map(Some)
        .ok_or(MalformedLevels(field))
}

/// Who made the room, and what that is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomCreators {
    /// The `sender` (or in room versions 1 to 10 the `creator`) of the create event, then the
    /// additional creators (room version 12). Empty only if an old create event has no valid creator.
    users: Arc<[OwnedUserId]>,
    /// Whether their level is infinite, or only the default of a room without power levels.
    privileged: bool,
}

impl RoomCreators {
    /// Reads the create event.
    pub fn of(create: &Event, rules: &AuthorizationRules) -> Self {
        #[derive(Deserialize)]
        struct CreatorContent {
            creator: OwnedUserId,
        }
        let mut users = Vec::with_capacity(1);
        if rules.use_room_create_sender {
            users.push(create.sender().to_owned());
        } else if let Ok(content) = create.content::<CreatorContent>() {
            users.push(content.creator);
        }
        if rules.additional_room_creators {
            let additional: Vec<OwnedUserId> =
                create.content_field("additional_creators").unwrap_or_default();
            users.extend(additional);
        }
        Self { users: users.into(), privileged: rules.explicitly_privilege_room_creators }
    }

    /// The first creator: the one that the create event itself names.
    pub fn creator(&self) -> Option<&UserId> {
        self.users.first().map(AsRef::as_ref)
    }

    /// All of them, the creator first.
    pub fn users(&self) -> &[OwnedUserId] {
        &self.users
    }

    /// Whether this user is one of them.
    pub fn contains(&self, user: &UserId) -> bool {
        self.users.iter().any(|creator| creator == user)
    }

    /// Whether creators have infinite power (room version 12 and later).
    pub fn are_privileged(&self) -> bool {
        self.privileged
    }
}

/// The power levels in force in a room.
#[derive(Debug, Clone)]
pub struct RoomPowerLevels {
    levels: Option<Arc<PowerLevels>>,
    creators: RoomCreators,
}

impl RoomPowerLevels {
    /// From the state's power levels, if it has any, and the room's creators.
    pub fn new(levels: Option<Arc<PowerLevels>>, creators: RoomCreators) -> Self {
        Self { levels, creators }
    }

    /// From the events themselves.
    pub fn of_events(create: &Event, power_levels: Option<&Event>, rules: &AuthorizationRules) -> Self {
        let levels = power_levels.map(|event| Arc::new(PowerLevels::parse(event.content_json(), rules)));
        Self::new(levels, RoomCreators::of(create, rules))
    }

    /// The content of the power levels event, if the room has one.
    pub fn levels(&self) -> Option<&PowerLevels> {
        self.levels.as_deref()
    }

    /// The room's creators.
    pub fn creators(&self) -> &RoomCreators {
        &self.creators
    }

    /// The level of a user, member or not.
    pub fn user_level(&self, user: &UserId) -> Result<PowerLevel, MalformedLevels> {
        if self.creators.privileged && self.creators.contains(user) {
            return Ok(PowerLevel::Infinite);
        }
        let level = match &self.levels {
            Some(levels) => levels.user_level(user)?,
            None if self.creators.contains(user) => CREATOR_LEVEL_DEFAULT,
            None => LevelField::UsersDefault.default_level(),
        };
        Ok(PowerLevel::Finite(level))
    }

    /// The *required power level* of an event type. Membership events have none: see
    /// [`level`](Self::level) for `invite`, `kick` and `ban`.
    pub fn required_for_event(&self, event_type: &str, is_state: bool) -> Result<i64, MalformedLevels> {
        if let Some(levels) = &self.levels
            && let Some(level) = levels.events()?.and_then(|events| events.get(event_type))
        {
            return Ok(*level);
        }
        self.level(if is_state { LevelField::StateDefault } else { LevelField::EventsDefault })
    }

    /// One of the plain levels: `ban`, `kick`, `invite`, `redact`, and the defaults.
    pub fn level(&self, field: LevelField) -> Result<i64, MalformedLevels> {
        match &self.levels {
            Some(levels) => levels.level_or_default(field),
            None => Ok(field.default_level()),
        }
    }

    /// The level required to trigger a notification of this kind, by default 50.
    pub fn required_for_notification(&self, kind: &str) -> Result<i64, MalformedLevels> {
        const NOTIFICATION_LEVEL_DEFAULT: i64 = 50;
        let level = match &self.levels {
            Some(levels) => levels.notifications()?.and_then(|levels| levels.get(kind)).copied(),
            None => None,
        };
        Ok(level.unwrap_or(NOTIFICATION_LEVEL_DEFAULT))
    }

    /// Whether the user may send events of this type (membership aside).
    pub fn may_send(&self, user: &UserId, event_type: &str, is_state: bool) -> Result<bool, MalformedLevels> {
        Ok(self.user_level(user)? >= self.required_for_event(event_type, is_state)?)
    }

    /// Whether a redaction by `redactor` takes effect on an event that `sender` sent: the redactor has
    /// the *redact level*, or both are of one server ([handling redactions]; room versions 3 and
    /// later, where the auth rules let every redaction pass).
    ///
    /// [handling redactions]: https://spec.matrix.org/v1.19/rooms/v12/#handling-redactions
    pub fn may_redact(&self, redactor: &UserId, sender: &UserId) -> Result<bool, MalformedLevels> {
        if redactor.server_name() == sender.server_name() {
            return Ok(true);
        }
        Ok(self.user_level(redactor)? >= self.level(LevelField::Redact)?)
    }
}

#[cfg(test)]
mod tests;
