//! Rule 10, for `m.room.power_levels` (rule 9 of room versions 6 to 11, rule 10 of versions 1 to 5).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
};

use ruma::{UserId, room_version_rules::RoomVersionRules};

use super::AuthRefusal;
use crate::matrix::{
    event::Event,
    power_levels::{LevelField, PowerLevel, PowerLevels, RoomPowerLevels},
};

/// `current` are the levels in force.
pub(super) fn check(
    event: &Event,
    rules: &RoomVersionRules,
    current: &RoomPowerLevels,
) -> Result<(), AuthRefusal> {
    let new = PowerLevels::parse(event.content_json(), &rules.authorization);
    check_form(&new, current)?;
    // 10.5. If there is no previous m.room.power_levels event in the room, allow.
    let Some(old) = current.levels() else { return Ok(()) };
    let changes = Changes { sender: event.sender(), power: current.user_level(event.sender())? };

    // 10.6. For the properties users_default, events_default, state_default, ban, redact, kick, invite
    //       check if they were added, changed or removed. For each found alteration:
    for field in LevelField::ALL {
        if old.level(field)? != new.level(field)? {
            // 10.6.1. If the current value is higher than the sender's current power level, reject.
            // 10.6.2. If the new value is higher than the sender's current power level, reject.
            // A property that is absent has its default as value.
            let (from, to) = (old.level_or_default(field)?, new.level_or_default(field)?);
            changes.check(field.key(), Some(from), Some(to), |power, from| from <= power)?;
        }
    }
    // 10.7. For each entry being changed in, or removed from, the events or notifications properties:
    //       10.7.1. If the current value is greater than the sender's current power level, reject.
    // 10.8. For each entry being added to, or changed in, the events or notifications properties:
    //       10.8.1. If the new value is greater than the sender's current power level, reject.
    changes.check_maps(old.events()?, new.events()?, |_, power, from| from <= power)?;
    // (notifications: since v6)
    if rules.authorization.limit_notifications_power_levels {
        changes.check_maps(old.notifications()?, new.notifications()?, |_, power, from| from <= power)?;
    }
    // 10.9. For each entry being changed in, or removed from, the users property, other than the
    //       sender's own entry:
    //       10.9.1. If the current value is greater than or equal to the sender's current power level,
    //       reject.
    // 10.10. For each entry being added to, or changed in, the users property:
    //        10.10.1. If the new value is greater than the sender's current power level, reject.
    changes.check_maps(old.users()?, new.users()?, |user, power, from| user == event.sender() || from < power)
    // 10.11. Otherwise, allow.
}

/// Clauses 10.1 to 10.4. Before room version 10 only that of `users` was written down, but a level that
/// no server can read would hinder every later event, so that malformed fields are refused in all.
fn check_form(new: &PowerLevels, current: &RoomPowerLevels) -> Result<(), AuthRefusal> {
    // 10.1. If any of the properties users_default, events_default, state_default, ban, redact, kick, or
    //       invite in content are present and not an integer, reject.
    for field in LevelField::ALL {
        new.level(field)?;
    }
    // 10.2. If either of the properties events or notifications in content are present and not an object
    //       with values that are integers, reject.
    new.events()?;
    new.notifications()?;
    // 10.3. If the users property in content is not an object with keys that are valid user IDs with
    //       values that are integers, reject.
    let users = new.users()?;
    // 10.4. If the users property in content contains the sender of the m.room.create event or any of
    //       the additional_creators, reject. (Not before v12.)
    let creators = current.creators();
    if creators.are_privileged()
        && let Some(users) = users
        && let Some(creator) = creators.users().iter().find(|creator| users.contains_key(*creator))
    {
        return Err(AuthRefusal::CreatorInPowerLevels(creator.clone()));
    }
    Ok(())
}

/// Who changes levels, and with what power.
struct Changes<'a> {
    sender: &'a UserId,
    power: PowerLevel,
}

impl Changes<'_> {
    /// Judges a level that changes from `from` to `to`, `None` being absence. `may_change` says, of the
    /// sender's power and the current value, whether that suffices to change or remove it.
    fn check(
        &self,
        what: impl Display,
        from: Option<i64>,
        to: Option<i64>,
        may_change: impl Fn(PowerLevel, PowerLevel) -> bool,
    ) -> Result<(), AuthRefusal> {
        let may_change = from.is_none_or(|from| may_change(self.power, PowerLevel::Finite(from)));
        let may_set = to.is_none_or(|to| self.power >= to);
        if may_change && may_set {
            return Ok(());
        }
        let text = |level: Option<i64>| level.map_or_else(|| "none".to_owned(), |level| level.to_string());
        Err(AuthRefusal::LevelChange {
            user: self.sender.to_owned(),
            level: self.power,
            what: what.to_string(),
            from: text(from),
            to: text(to),
        })
    }

    /// Judges every entry that differs between two maps.
    fn check_maps<K: Ord + Display>(
        &self,
        old: Option<&BTreeMap<K, i64>>,
        new: Option<&BTreeMap<K, i64>>,
        may_change: impl Fn(&K, PowerLevel, PowerLevel) -> bool,
    ) -> Result<(), AuthRefusal> {
        let keys: BTreeSet<&K> = [old, new].into_iter().flatten().flat_map(BTreeMap::keys).collect();
        for key in keys {
            let from = old.and_then(|levels| levels.get(key)).copied();
            let to = new.and_then(|levels| levels.get(key)).copied();
            if from != to {
                self.check(key, from, to, |power, from| may_change(key, power, from))?;
            }
        }
        Ok(())
    }
}
