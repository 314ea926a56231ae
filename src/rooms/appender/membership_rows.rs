//! The rows that follow from a membership event.

use ruma::{ServerName, UserId};
use serde_json::value::RawValue;

use crate::{
    matrix::event::Event,
    rooms::{RoomError, RoomServers},
    storage::{
        ChangeScope, Json, Read, ShortEventId, ShortRoomId, ShortUserId, StreamPosition, Transaction,
        records::{Membership, MembershipRow},
        tables::{
            LOCAL_MEMBERS, MEMBER_COUNTS, MEMBERSHIPS, OWN_MEMBERSHIP_CHANGES, ROOM_MEMBERS, STRIPPED_STATE,
        },
    },
    users::user_directory,
};

/// A membership event that has a short id and takes effect at a position.
pub(in crate::rooms) struct MembershipChange<'a> {
    pub(in crate::rooms) server_name: &'a ServerName,
    pub(in crate::rooms) room: ShortRoomId,
    pub(in crate::rooms) event: &'a Event,
    pub(in crate::rooms) short: ShortEventId,
    pub(in crate::rooms) position: StreamPosition,
    pub(in crate::rooms) stripped_state: Option<&'a Vec<Box<RawValue>>>,
}

impl MembershipChange<'_> {
    /// Brings all rows about the member up to date. Other events are ignored.
    pub(in crate::rooms) fn write(&self, transaction: &mut Transaction<'_>) -> Result<(), RoomError> {
        let Some(membership) = self.event.membership() else { return Ok(()) };
        let Some(membership) = Membership::of(&membership.as_str().into()) else { return Ok(()) };
        let Some(target) = self.event.state_key().and_then(|key| <&UserId>::try_from(key).ok()) else {
            return Ok(());
        };
        let user = transaction.intern_user(target)?;
        let before = transaction.get(&MEMBERSHIPS, &(user, self.room))?;
        self.write_row(transaction, user, membership, before);
        self.write_member(transaction, user, membership, before);
        write_counts(transaction, self.room, Some(membership), before.map(|row| row.membership))?;
        let was_joined = before.is_some_and(|before| before.membership == Membership::Join);
        let is_joined = membership == Membership::Join;
        if was_joined != is_joined {
            let server = target.server_name();
            RoomServers::member_changed(transaction, self.room, server, is_joined, self.position)?;
        }
        if target.server_name() == self.server_name {
            self.write_local(transaction, user, membership, before);
        } else if is_joined {
            let shown = self.event.content().unwrap_or_default();
            user_directory::note_remote_member(transaction, user, target, shown, self.position)?;
        } else if before.is_some_and(|before| is_outside(before.membership)) {
            RoomServers::outsider_concerned(transaction, self.room, target.server_name(), self.position)?;
        }
        Ok(())
    }

    /// Takes away all rows about a member who has no member event any more: a resolution can come to that.
    pub(in crate::rooms) fn write_removal(
        transaction: &mut Transaction<'_>,
        server_name: &ServerName,
        room: ShortRoomId,
        user: ShortUserId,
        position: StreamPosition,
    ) -> Result<(), RoomError> {
        let Some(before) = transaction.get(&MEMBERSHIPS, &(user, room))? else { return Ok(()) };
        transaction.delete(&MEMBERSHIPS, &(user, room));
        transaction.delete(&ROOM_MEMBERS, &(room, before.membership, user));
        write_counts(transaction, room, None, Some(before.membership))?;
        let user_id = transaction.user_id(user)?;
        if before.membership == Membership::Join {
            RoomServers::member_changed(transaction, room, user_id.server_name(), false, position)?;
        }
        if user_id.server_name() == server_name {
            transaction.delete(&LOCAL_MEMBERS, &(room, user));
            transaction.delete(&STRIPPED_STATE, &(user, room));
            transaction.put(&OWN_MEMBERSHIP_CHANGES, &(user, position), &room);
            transaction.announce(ChangeScope::User(user), position);
        }
        Ok(())
    }

    fn write_row(
        &self,
        transaction: &mut Transaction<'_>,
        user: ShortUserId,
        membership: Membership,
        before: Option<MembershipRow>,
    ) {
        let stays_joined = membership == Membership::Join
            && before.is_some_and(|before| before.membership == Membership::Join);
        let row = MembershipRow {
            membership,
            event: self.short,
            // A new name or avatar is no new membership.
            position: before.filter(|_| stays_joined).map_or(self.position, |before| before.position),
            // A forgotten room stays so until the user joins, is invited or knocks ("Leaving rooms").
            forgotten: before.is_some_and(|before| before.forgotten)
                && matches!(membership, Membership::Leave | Membership::Ban),
        };
        transaction.put(&MEMBERSHIPS, &(user, self.room), &row);
    }

    fn write_member(
        &self,
        transaction: &mut Transaction<'_>,
        user: ShortUserId,
        membership: Membership,
        before: Option<MembershipRow>,
    ) {
        if let Some(before) = before.filter(|before| before.membership != membership) {
            transaction.delete(&ROOM_MEMBERS, &(self.room, before.membership, user));
        }
        transaction.put(&ROOM_MEMBERS, &(self.room, membership, user), &self.short);
    }

    /// What only users of this server have.
    fn write_local(
        &self,
        transaction: &mut Transaction<'_>,
        user: ShortUserId,
        membership: Membership,
        before: Option<MembershipRow>,
    ) {
        let before = before.map(|before| before.membership);
        match membership {
            Membership::Join => transaction.put(&LOCAL_MEMBERS, &(self.room, user), &()),
            _ => transaction.delete(&LOCAL_MEMBERS, &(self.room, user)),
        }
        match self.stripped_state {
            Some(stripped) => {
                transaction.put(&STRIPPED_STATE, &(user, self.room), &Json(stripped.clone()));
            }
            None => transaction.delete(&STRIPPED_STATE, &(user, self.room)),
        }
        if membership != Membership::Join || before != Some(Membership::Join) {
            transaction.put(&OWN_MEMBERSHIP_CHANGES, &(user, self.position), &self.room);
            transaction.announce(ChangeScope::User(user), self.position);
        }
    }
}

/// Memberships of those whose server need not be in the room, and yet waits for what becomes of them.
fn is_outside(membership: Membership) -> bool {
    matches!(membership, Membership::Invite | Membership::Knock)
}

fn write_counts(
    transaction: &mut Transaction<'_>,
    room: ShortRoomId,
    membership: Option<Membership>,
    before: Option<Membership>,
) -> Result<(), RoomError> {
    if before == membership {
        return Ok(());
    }
    let (mut joined, mut invited) = transaction.get(&MEMBER_COUNTS, &room)?.unwrap_or_default();
    match before {
        Some(Membership::Join) => joined = joined.saturating_sub(1),
        Some(Membership::Invite) => invited = invited.saturating_sub(1),
        _ => {}
    }
    match membership {
        Some(Membership::Join) => joined += 1,
        Some(Membership::Invite) => invited += 1,
        _ => {}
    }
    transaction.put(&MEMBER_COUNTS, &room, &(joined, invited));
    Ok(())
}
