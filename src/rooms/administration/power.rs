//! Giving a local user the power over a room whose administrators have gone.

use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedUserId, RoomId, UserId};

use super::RoomAdministration;
use crate::{
    matrix::power_levels::PowerLevel,
    rooms::{
        RoomError,
        appender::{Draft, RoomBatch},
        limits,
        memberships::Moderation,
    },
    storage::{Read, records::Membership},
};

/// Level that the new administrator gets where a creator gives it, whose own has no number.
const LEVEL_OF_CREATORS_HEIR: i64 = 100;

/// How a user came to power.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeAdmin {
    /// The local member by whom it was given; `None` if the user had it already.
    pub by: Option<OwnedUserId>,
    /// Whether the user was invited to the room as well.
    pub is_invited: bool,
}

impl RoomAdministration {
    /// Gives `user` as much power in the room as the most powerful local member has, in that member's name, and
    /// invites the user where they could not join otherwise. Refused where no local member may do so.
    pub fn make_admin(&self, room_id: &RoomId, user: &UserId) -> Result<MadeAdmin, RoomError> {
        let (by, is_public) = {
            let mut batch = self.appender.begin(room_id)?;
            let Some((by, level)) = self.most_powerful(&batch)? else {
                return Err(RoomError::Forbidden("No local member has the power to do so".to_owned()));
            };
            let level = match level {
                PowerLevel::Infinite => LEVEL_OF_CREATORS_HEIR,
                PowerLevel::Finite(level) => level,
            };
            let held = batch.power_levels()?.user_level(user).map_err(bad_levels)?;
            let is_new = held < PowerLevel::Finite(level);
            if is_new {
                let content = with_level(&batch, user, level)?;
                batch.push(Draft::state(&by, "m.room.power_levels", "", content))?;
            }
            let join_rules = batch.state_event("m.room.join_rules", "")?;
            let rule = join_rules.and_then(|event| event.content_field::<String>("join_rule"));
            if is_new {
                batch.commit(None)?;
            }
            (is_new.then_some(by), rule.as_deref() == Some("public"))
        };
        let is_invited = !is_public && self.invite(room_id, by.as_deref(), user)?;
        Ok(MadeAdmin { by, is_invited })
    }

    /// Invites `user` in `by`'s name to a room that `user` could not join otherwise, if `by` may.
    pub fn invite_if_needed(&self, room_id: &RoomId, by: &UserId, user: &UserId) -> Result<(), RoomError> {
        let Some(room) = self.index.room(room_id)? else { return Ok(()) };
        let state = self.index.current_state(room)?;
        if self.text(state, "m.room.join_rules", "join_rule")?.as_deref() == Some("public")
            || !self.index.is_joined(by, room)?
        {
            return Ok(());
        }
        self.invite(room_id, Some(by), user).map(drop)
    }

    /// The local member with the most power among those who may set power levels.
    fn most_powerful(&self, batch: &RoomBatch) -> Result<Option<(OwnedUserId, PowerLevel)>, RoomError> {
        let levels = batch.power_levels()?;
        let Some(room) = batch.room() else { return Ok(None) };
        let mut found: Option<(OwnedUserId, PowerLevel)> = None;
        for user in self.local_members(room).take(limits::LOCAL_MEMBERS_LOOKED_AT_MAX) {
            let user = self.storage.user_id(user?)?;
            if !levels.may_send(&user, "m.room.power_levels", true).map_err(bad_levels)? {
                continue;
            }
            let level = levels.user_level(&user).map_err(bad_levels)?;
            if found.as_ref().is_none_or(|(_, best)| level > *best) {
                found = Some((user, level));
            }
        }
        Ok(found)
    }

    /// Invites the user, unless they are in the room or invited already.
    fn invite(&self, room_id: &RoomId, by: Option<&UserId>, user: &UserId) -> Result<bool, RoomError> {
        let room = self.room(room_id)?;
        let short = self.storage.short_user_id(user)?;
        let membership = short.map(|short| self.index.membership(short, room)).transpose()?.flatten();
        let is_there =
            membership.is_some_and(|row| matches!(row.membership, Membership::Join | Membership::Invite));
        let Some(by) = by.filter(|_| !is_there) else { return Ok(false) };
        self.memberships.invite(Moderation { room_id, sender: by, target: user, reason: None })?;
        Ok(true)
    }
}

/// The room's power levels with another one for the user.
fn with_level(batch: &RoomBatch, user: &UserId, level: i64) -> Result<CanonicalJsonObject, RoomError> {
    let held = batch.state_event("m.room.power_levels", "")?;
    let mut content: CanonicalJsonObject = match held {
        Some(event) => event.content().map_err(|error| RoomError::BadContent(error.to_string()))?,
        None => CanonicalJsonObject::new(),
    };
    let users = content.entry("users".to_owned()).or_insert_with(|| CanonicalJsonObject::new().into());
    let CanonicalJsonValue::Object(users) = users else {
        return Err(RoomError::BadContent("the room's power levels are malformed".to_owned()));
    };
    let level = ruma::Int::new_saturating(level);
    users.insert(user.to_string(), CanonicalJsonValue::Integer(level));
    Ok(content)
}

fn bad_levels(error: impl std::fmt::Display) -> RoomError {
    RoomError::BadContent(format!("the room's power levels are malformed: {error}"))
}
