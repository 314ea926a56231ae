//! Who is in a room: join, leave, invite, kick, ban, unban, knock, forget.
//!
//! Whether a change is allowed is decided by the authorisation rules; here is what a request means before
//! they are asked, and what they leave to the server: restricted joins, and requests that ask for what is
//! so already.

mod every_room;
mod remote;
mod restricted;

pub use self::remote::{OwnMembership, RemoteInvite};
pub(in crate::rooms) use self::restricted::AUTHORISED_VIA;

#[cfg(test)]
mod tests;

use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedEventId, RoomId, UserId};

use super::{
    Appender, MemberProfiles, RoomError,
    appender::{Draft, RoomBatch},
    blocks,
};
use crate::{
    matrix::auth_rules::AuthRefusal,
    storage::{
        Read,
        records::{Membership, MembershipRow},
        tables::MEMBERSHIPS,
    },
};

/// Changes memberships. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Memberships {
    appender: Appender,
    profiles: MemberProfiles,
}

/// One change of another user's membership.
#[derive(Debug, Clone, Copy)]
pub struct Moderation<'a> {
    /// The room.
    pub room_id: &'a RoomId,
    /// Who changes it.
    pub sender: &'a UserId,
    /// Whose membership.
    pub target: &'a UserId,
    /// Why, for the room to see.
    pub reason: Option<&'a str>,
}

impl Memberships {
    /// The service.
    pub fn new(appender: Appender, profiles: MemberProfiles) -> Self {
        Self { appender, profiles }
    }

    /// The user joins the room; nothing changes for who is in it already.
    pub fn join(&self, user: &UserId, room_id: &RoomId, reason: Option<&str>) -> Result<(), RoomError> {
        let reason = reason.map(|reason| ("reason".to_owned(), reason.into()));
        self.join_with(user, room_id, reason.into_iter().collect())
    }

    /// [`join`](Self::join) with further keys for the member event's content, such as a name for this room
    /// only.
    pub fn join_with(
        &self,
        user: &UserId,
        room_id: &RoomId,
        further: CanonicalJsonObject,
    ) -> Result<(), RoomError> {
        let mut batch = self.appender.begin(room_id)?;
        if batch.membership(user)? == Some(Membership::Join) {
            return Ok(());
        }
        let mut content = further;
        content.insert("membership".to_owned(), "join".into());
        self.add_profile(user, &mut content)?;
        self.push(&mut batch, user, user, content)?;
        batch.commit(None)?;
        Ok(())
    }

    /// The user asks to be let in.
    pub fn knock(&self, user: &UserId, room_id: &RoomId, reason: Option<&str>) -> Result<(), RoomError> {
        let mut batch = self.appender.begin(room_id)?;
        let content = self.profiles.member_content("knock", Some(user), reason)?;
        if batch.membership(user)? == Some(Membership::Knock) {
            return Ok(());
        }
        self.push(&mut batch, user, user, content)?;
        batch.commit(None)?;
        Ok(())
    }

    /// The user leaves, turns an invite down, or takes a knock back. Leaving a room twice is no error, so
    /// that a lost answer leaves no client stuck.
    pub fn leave(&self, user: &UserId, room_id: &RoomId, reason: Option<&str>) -> Result<(), RoomError> {
        let mut batch = self.appender.begin(room_id)?;
        if batch.membership(user)? == Some(Membership::Leave) {
            return Ok(());
        }
        let content = self.profiles.member_content("leave", None, reason)?;
        self.push(&mut batch, user, user, content)?;
        batch.commit(None)?;
        Ok(())
    }

    /// Invites a user. Who may invite and invites somebody who is invited already changes nothing.
    pub fn invite(&self, invite: Moderation<'_>) -> Result<(), RoomError> {
        let mut batch = self.appender.begin_as_member(invite.room_id, invite.sender)?;
        let is_invited = batch.membership(invite.target)? == Some(Membership::Invite);
        let content = self.profiles.member_content("invite", Some(invite.target), invite.reason)?;
        self.push(&mut batch, invite.sender, invite.target, content)?;
        if !is_invited {
            batch.commit(None)?;
        }
        Ok(())
    }

    /// Removes a user who is in the room, invited or knocking.
    pub fn kick(&self, kick: Moderation<'_>) -> Result<(), RoomError> {
        let mut batch = self.appender.begin_as_member(kick.room_id, kick.sender)?;
        let content = self.profiles.member_content("leave", None, kick.reason)?;
        let before = batch.membership(kick.target)?;
        self.push(&mut batch, kick.sender, kick.target, content)?;
        // The rules would let a kick lift a ban, and would let it repeat a leave.
        match before {
            Some(Membership::Join | Membership::Invite | Membership::Knock) => {}
            _ => return Err(RoomError::Forbidden(format!("{} is not in the room", kick.target))),
        }
        batch.commit(None)?;
        Ok(())
    }

    /// Bans a user, in the room or not.
    pub fn ban(&self, ban: Moderation<'_>) -> Result<(), RoomError> {
        let mut batch = self.appender.begin_as_member(ban.room_id, ban.sender)?;
        let content = self.profiles.member_content("ban", None, ban.reason)?;
        self.push(&mut batch, ban.sender, ban.target, content)?;
        batch.commit(None)?;
        Ok(())
    }

    /// Lifts a ban.
    pub fn unban(&self, unban: Moderation<'_>) -> Result<(), RoomError> {
        let mut batch = self.appender.begin_as_member(unban.room_id, unban.sender)?;
        let content = self.profiles.member_content("leave", None, unban.reason)?;
        let before = batch.membership(unban.target)?;
        self.push(&mut batch, unban.sender, unban.target, content)?;
        if before != Some(Membership::Ban) {
            return Err(RoomError::Forbidden(format!("{} is not banned", unban.target)));
        }
        batch.commit(None)?;
        Ok(())
    }

    /// Sets a member event as a client wrote it (`PUT /rooms/{roomId}/state/m.room.member/{userId}`).
    /// Answers with the event that now holds the membership, the old one if nothing changes.
    pub fn set(
        &self,
        room_id: &RoomId,
        sender: &UserId,
        target: &UserId,
        mut content: CanonicalJsonObject,
    ) -> Result<OwnedEventId, RoomError> {
        let Some(CanonicalJsonValue::String(membership)) = content.get("membership") else {
            return Err(RoomError::BadContent("a member event needs a `membership`, a string".to_owned()));
        };
        if matches!(membership.as_str(), "join" | "invite" | "knock") {
            self.add_profile(target, &mut content)?;
        }
        let mut batch = self.appender.begin_as_member(room_id, sender)?;
        let held = batch.state_event("m.room.member", target.as_str())?;
        let event = self.push(&mut batch, sender, target, content)?;
        match held {
            Some(held) if held.sender() == sender && held.content_json() == event.content_json() => {
                Ok(held.event_id().to_owned())
            }
            _ => {
                batch.commit(None)?;
                Ok(event.event_id().to_owned())
            }
        }
    }

    /// The user wants to see no more of a room that they have left (`POST /rooms/{roomId}/forget`).
    pub fn forget(&self, user: &UserId, room_id: &RoomId) -> Result<(), RoomError> {
        let not_found = || RoomError::RoomNotFound(room_id.to_owned());
        let room = self.appender.index().room(room_id)?.ok_or_else(not_found)?;
        let short = self.appender.storage().short_user_id(user)?.ok_or_else(not_found)?;
        self.appender.storage().write(|rows| {
            let row = rows.get(&MEMBERSHIPS, &(short, room))?.ok_or_else(not_found)?;
            if !matches!(row.membership, Membership::Leave | Membership::Ban) {
                return Err(RoomError::NotLeft { user: user.to_owned(), room_id: room_id.to_owned() });
            }
            rows.put(&MEMBERSHIPS, &(short, room), &MembershipRow { forgotten: true, ..row });
            Ok(())
        })
    }

    /// Adds a member event to a batch, with what a restricted join needs.
    fn push(
        &self,
        batch: &mut RoomBatch,
        sender: &UserId,
        target: &UserId,
        mut content: CanonicalJsonObject,
    ) -> Result<std::sync::Arc<crate::matrix::Event>, RoomError> {
        let brings_in = ["join", "knock", "invite"].iter().any(|membership| {
            content.get("membership").and_then(CanonicalJsonValue::as_str) == Some(*membership)
        });
        if brings_in
            && target.server_name() == self.appender.server_name()
            && let Some(room_id) = batch.room_id()
        {
            blocks::check(self.appender.storage(), room_id)?;
        }
        // Only this server says who lets a user in: the rules check that user's power, not the conditions.
        content.remove(restricted::AUTHORISED_VIA);
        if content.get("membership") == Some(&"join".into()) && sender == target {
            self.authorise_restricted(batch, target, &mut content)?;
        }
        batch.push(Draft::state(sender, "m.room.member", target.as_str(), content))
    }

    /// Fills in the profile's fields that the content does not set.
    fn add_profile(&self, target: &UserId, content: &mut CanonicalJsonObject) -> Result<(), RoomError> {
        let mut from_profile = CanonicalJsonObject::new();
        self.profiles.of(target)?.write(&mut from_profile);
        for (key, value) in from_profile {
            content.entry(key).or_insert(value);
        }
        Ok(())
    }
}

impl Appender {
    /// [`begin`](Self::begin) for what only members do: of a room that this server does not know, `sender`
    /// learns no more than of one that they are not in.
    pub fn begin_as_member(&self, room_id: &RoomId, sender: &UserId) -> Result<RoomBatch, RoomError> {
        self.begin(room_id).map_err(|error| match error {
            RoomError::RoomNotFound(_) => AuthRefusal::SenderNotJoined(sender.to_owned()).into(),
            other => other,
        })
    }
}
