//! Restricted rooms: joining without an invite for members of certain other rooms (client-server API,
//! "Restricted rooms").

use ruma::{CanonicalJsonObject, OwnedRoomId, OwnedUserId, UserId};
use serde::Deserialize;
use serde_json::Value;

use super::Memberships;
use crate::{
    matrix::power_levels::{LevelField, PowerLevels},
    rooms::{RoomError, appender::RoomBatch, limits},
    storage::{Direction, Read, records::Membership, tables::LOCAL_MEMBERS},
};

/// The key of a member event that names the user with whose power a user was let in.
pub(in crate::rooms) const AUTHORISED_VIA: &str = "join_authorised_via_users_server";

#[derive(Deserialize)]
struct JoinRules {
    join_rule: String,
    /// Conditions; those of unknown form don't let anyone in, and don't spoil the others.
    #[serde(default)]
    allow: Value,
}

/// What this server can say of the conditions to join a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Conditions {
    /// One is met.
    Met,
    /// None is.
    NotMet,
    /// This server is in none of the rooms that they name.
    Unknown,
}

impl JoinRules {
    fn allowed_rooms(&self) -> impl Iterator<Item = OwnedRoomId> {
        let conditions = self.allow.as_array().map(Vec::as_slice).unwrap_or_default().iter();
        conditions
            .filter(|condition| condition.get("type").and_then(Value::as_str) == Some("m.room_membership"))
            .filter_map(|condition| condition.get("room_id")?.as_str()?.try_into().ok())
    }
}

impl Memberships {
    /// Names who lets `user` in, if the room is restricted and the user is neither in it nor invited.
    pub(in crate::rooms) fn authorise_restricted(
        &self,
        batch: &RoomBatch,
        user: &UserId,
        content: &mut CanonicalJsonObject,
    ) -> Result<(), RoomError> {
        if !batch.rules().authorization.restricted_join_rule {
            return Ok(());
        }
        if let Some(Membership::Join | Membership::Invite | Membership::Ban) = batch.membership(user)? {
            return Ok(());
        }
        let join_rules = batch.state_event("m.room.join_rules", "")?;
        let Some(Ok(join_rules)) = join_rules.as_ref().map(|event| event.content::<JoinRules>()) else {
            return Ok(());
        };
        if !matches!(join_rules.join_rule.as_str(), "restricted" | "knock_restricted") {
            return Ok(());
        }
        match self.conditions(user, &join_rules)? {
            Conditions::Met => {}
            Conditions::NotMet => {
                let problem = "Only who is invited, or is in one of certain other rooms, may join this room";
                return Err(RoomError::Forbidden(problem.to_owned()));
            }
            Conditions::Unknown => return Err(RoomError::CannotAuthoriseJoin),
        }
        let via = self.authorising_user(batch)?;
        content.insert(AUTHORISED_VIA.to_owned(), via.as_str().into());
        Ok(())
    }

    /// Whether the user is in one of the rooms that let into this one, as far as this server can tell.
    fn conditions(&self, user: &UserId, join_rules: &JoinRules) -> Result<Conditions, RoomError> {
        let index = self.appender.index();
        let mut is_one_unknown = false;
        let mut is_one_known = false;
        for room_id in join_rules.allowed_rooms().take(limits::ALLOWED_ROOMS_MAX) {
            // Of a room that this server has left, it knows only who was there.
            match index.room(&room_id)? {
                Some(room) if index.has_local_member(room)? => {
                    is_one_known = true;
                    if index.is_joined(user, room)? {
                        return Ok(Conditions::Met);
                    }
                }
                _ => is_one_unknown = true,
            }
        }
        Ok(if is_one_unknown && !is_one_known { Conditions::Unknown } else { Conditions::NotMet })
    }

    /// A member of this server who may invite: first among the creators and those with a level of their own,
    /// then among the others.
    fn authorising_user(&self, batch: &RoomBatch) -> Result<OwnedUserId, RoomError> {
        let levels = batch.power_levels()?;
        let required = levels.level(LevelField::Invite)?;
        let listed = levels.levels().map(PowerLevels::users).transpose()?.flatten();
        let powerful =
            levels.creators().users().iter().chain(listed.into_iter().flat_map(|users| users.keys()));
        let mut looked_at = 0;
        for user in powerful {
            let may_invite = levels.user_level(user)? >= required;
            if user.server_name() != self.appender.server_name() || !may_invite {
                continue;
            }
            if batch.membership(user)? == Some(Membership::Join) {
                return Ok(user.clone());
            }
            looked_at += 1;
            if looked_at >= limits::AUTHORISING_MEMBERS_MAX {
                break;
            }
        }
        if let Some(room) = batch.room() {
            let storage = self.appender.storage();
            let members = storage.scan(&LOCAL_MEMBERS, &LOCAL_MEMBERS.prefix(&(room,)), Direction::Forward);
            for member in members.take(limits::AUTHORISING_MEMBERS_MAX) {
                let user = storage.user_id(member?.0.1)?;
                if levels.user_level(&user)? >= required {
                    return Ok(user);
                }
            }
        }
        Err(RoomError::CannotGrantJoin)
    }
}
