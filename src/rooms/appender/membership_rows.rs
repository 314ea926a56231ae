//! The rows that follow from a membership event.

use ruma::{ServerName, UserId};
use serde_json::value::RawValue;

use crate::{
    matrix::event::Event,
    rooms::RoomError,
    storage::{
        ChangeScope, Json, Read, ShortEventId, ShortRoomId, ShortUserId, StreamPosition, Transaction,
        records::{Membership, MembershipRow},
        tables::{
            LOCAL_MEMBERS, MEMBER_COUNTS, MEMBERSHIPS, OWN_MEMBERSHIP_CHANGES, ROOM_MEMBERS, STRIPPED_STATE,
        },
    },
};

/// A membership event that has a short id and a position.
pub(super) struct MembershipChange<'a> {
    pub(super) server_name: &'a ServerName,
    pub(super) room: ShortRoomId,
    pub(super) event: &'a Event,
    pub(super) short: ShortEventId,
    pub(super) position: StreamPosition,
    pub(super) stripped_state: Option<&'a Vec<Box<RawValue>>>,
}

impl MembershipChange<'_> {
    /// Brings all rows about the member up to date. Other events are ignored.
    pub(super) fn write(&self, transaction: &mut Transaction<'_>) -> Result<(), RoomError> {
        let Some(membership) = self.event.membership() else { return Ok(()) };
        let Some(membership) = Membership::of(&membership.as_str().into()) else { return Ok(()) };
        let Some(target) = self.event.state_key().and_then(|key| <&UserId>::try_from(key).ok()) else {
            return Ok(());
        };
        let user = transaction.intern_user(target)?;
        let before = transaction.get(&MEMBERSHIPS, &(user, self.room))?;
        self.write_row(transaction, user, membership, before);
        self.write_member(transaction, user, membership, before);
        self.write_counts(transaction, membership, before.map(|row| row.membership))?;
        if target.server_name() == self.server_name {
            self.write_local(transaction, user, membership, before);
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

    fn write_counts(
        &self,
        transaction: &mut Transaction<'_>,
        membership: Membership,
        before: Option<Membership>,
    ) -> Result<(), RoomError> {
        if before == Some(membership) {
            return Ok(());
        }
        let (mut joined, mut invited) = transaction.get(&MEMBER_COUNTS, &self.room)?.unwrap_or_default();
        match before {
            Some(Membership::Join) => joined = joined.saturating_sub(1),
            Some(Membership::Invite) => invited = invited.saturating_sub(1),
            _ => {}
        }
        match membership {
            Membership::Join => joined += 1,
            Membership::Invite => invited += 1,
            _ => {}
        }
        transaction.put(&MEMBER_COUNTS, &self.room, &(joined, invited));
        Ok(())
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
