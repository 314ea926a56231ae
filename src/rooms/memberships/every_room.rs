//! What concerns all rooms of a user: a changed profile, and the end of an account.

use ruma::{CanonicalJsonObject, RoomId, UserId};

use super::{Memberships, restricted};
use crate::{
    rooms::{MemberProfile, RoomError, appender::Draft},
    storage::{Read, ShortRoomId, ShortUserId, StorageError, records::Membership},
};

/// Keys that speak of how a membership came about, which a new name does not repeat.
const OF_THE_CHANGE: [&str; 4] = ["reason", "is_direct", "third_party_invite", restricted::AUTHORISED_VIA];

impl Memberships {
    /// Updates the user's member events in all rooms that they are in to their present profile, one event a
    /// room in which something differs. A room whose rules refuse it is left as it is.
    pub fn refresh_profile(&self, user: &UserId) -> Result<(), RoomError> {
        let storage = self.appender.storage();
        let Some(short) = storage.short_user_id(user)? else { return Ok(()) };
        let profile = self.profiles.of(user)?;
        let rooms: Vec<_> = self
            .appender
            .index()
            .rooms_of(short)
            .filter(|row| {
                row.as_ref().is_ok_and(|(_, row)| row.membership == Membership::Join) || row.is_err()
            })
            .map(|row| row.map(|(room, _)| room))
            .collect::<Result<_, _>>()?;
        for room in rooms {
            match self.refresh_in(&storage.room_id(room)?, user, &profile) {
                Err(refusal) if refusal.is_callers() => {
                    tracing::debug!(%user, ?room, "a changed profile is not shown in a room: {refusal}");
                }
                outcome => outcome?,
            }
        }
        Ok(())
    }

    /// The user leaves every room, turns down all invites and takes back all knocks. A room that can't be
    /// left because it is damaged is logged and keeps nobody in the others.
    pub fn leave_all(&self, user: &UserId) -> Result<(), RoomError> {
        let storage = self.appender.storage();
        let Some(short) = storage.short_user_id(user)? else { return Ok(()) };
        for room in self.rooms_with(short, &[Membership::Join, Membership::Invite, Membership::Knock])? {
            match self.leave(user, &storage.room_id(room)?, None) {
                // The store takes no writes: the next room would fare no better.
                Err(e @ RoomError::Storage(StorageError::Engine(_) | StorageError::NotDurable(_))) => {
                    return Err(e);
                }
                Err(refusal) if refusal.is_callers() => {
                    tracing::warn!(%user, ?room, "a room was not left: {refusal}");
                }
                Err(e) => tracing::error!(%user, ?room, "a room could not be left: {e}"),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    fn rooms_with(
        &self,
        user: ShortUserId,
        memberships: &[Membership],
    ) -> Result<Vec<ShortRoomId>, StorageError> {
        let mut rooms = Vec::new();
        for row in self.appender.index().rooms_of(user) {
            let (room, row) = row?;
            if memberships.contains(&row.membership) {
                rooms.push(room);
            }
        }
        Ok(rooms)
    }

    fn refresh_in(&self, room_id: &RoomId, user: &UserId, profile: &MemberProfile) -> Result<(), RoomError> {
        let mut batch = self.appender.begin(room_id)?;
        let Some(event) = batch.state_event("m.room.member", user.as_str())? else { return Ok(()) };
        if event.membership().as_deref() != Some("join") {
            return Ok(());
        }
        let before: CanonicalJsonObject = event
            .content()
            .map_err(|e| RoomError::BadContent(format!("the member event's content is not valid: {e}")))?;
        let mut content = before.clone();
        profile.write(&mut content);
        if content == before {
            return Ok(());
        }
        content.retain(|key, _| !OF_THE_CHANGE.contains(&key.as_str()));
        batch.push(Draft::state(user, "m.room.member", user.as_str(), content))?;
        batch.commit(None)?;
        Ok(())
    }
}
