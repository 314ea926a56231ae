//! Memberships: the rows follow from the member events of each room's current state.

use std::collections::BTreeMap;

use super::{Checker, Report};
use crate::{
    rooms::RoomError,
    state::tree::StateRoot,
    storage::{
        Direction, Read, ShortEventId, ShortRoomId, ShortUserId, StorageError, Transaction,
        records::{EventStatus, Membership, MembershipRow},
        tables::{LOCAL_MEMBERS, MEMBER_COUNTS, MEMBERSHIPS, ROOM_MEMBERS, ROOMS},
    },
};

/// A room's members as its state has them.
pub(super) type Members = BTreeMap<ShortUserId, Member>;

/// A membership and the event that says so.
pub(super) type Member = (Membership, ShortEventId);

impl Checker<'_> {
    /// Compares every room's rows with its state, and with `repair` rebuilds those that differ.
    pub(super) fn check_memberships(&self, report: &mut Report, repair: bool) -> Result<(), RoomError> {
        for row in self.storage.scan(&ROOMS, &ROOMS.all(), Direction::Forward) {
            let (room, _) = row?;
            let Some(head) = self.index.head(room)? else { continue };
            let Ok(mut expected) = self.members_of_state(StateRoot::from_bytes(head.state)) else {
                // The state itself is not sound; that has been said.
                continue;
            };
            self.add_out_of_band(room, &mut expected)?;
            let problems = self.membership_problems(room, &expected)?;
            if problems.is_empty() {
                continue;
            }
            let name = self.name_room(room);
            let found = problems.len() as u64;
            for problem in problems {
                report.problem(format!("room {name}: {problem}"));
            }
            if repair {
                self.storage.write(|rows| self.rebuild(rows, room, &expected))?;
                report.repaired += found;
            }
        }
        if repair {
            self.storage.durable_blocking()?;
        }
        Ok(())
    }

    fn members_of_state(&self, state: StateRoot) -> Result<Members, RoomError> {
        let mut members = Members::new();
        for (key, event) in self.states.members(state)? {
            let Some(user) = key.as_member() else { continue };
            // Old rooms may hold member events of state keys that are no user ids; no row is made of them.
            if self.storage.user_id(user).is_err() {
                continue;
            }
            let Some(stored) = self.events.get(event)? else { continue };
            let membership = stored.event.membership().and_then(|word| Membership::of(&word.as_str().into()));
            if let Some(membership) = membership {
                members.insert(user, (membership, event));
            }
        }
        Ok(members)
    }

    /// What users here were told of a room since this server left it, which its state does not know.
    fn add_out_of_band(&self, room: ShortRoomId, members: &mut Members) -> Result<(), StorageError> {
        for (user, (membership, event)) in self.listed_members(room)? {
            let meta = self.events.meta(event)?;
            if meta.is_some_and(|meta| meta.status == EventStatus::OutOfBand) {
                members.insert(user, (membership, event));
            }
        }
        Ok(())
    }

    fn membership_problems(
        &self,
        room: ShortRoomId,
        expected: &Members,
    ) -> Result<Vec<String>, StorageError> {
        let mut problems = Vec::new();
        for (user, (membership, event)) in expected {
            let row = self.index.membership(*user, room)?;
            if row.is_none_or(|row| row.membership != *membership || row.event != *event) {
                problems.push(format!(
                    "the membership row of {user:?} is {row:?}, its event says {membership:?}"
                ));
            }
            let local = self.is_local(*user) && *membership == Membership::Join;
            if self.storage.contains(&LOCAL_MEMBERS, &(room, *user))? != local {
                problems.push(format!("{user:?} is wrongly listed or missing among the local members"));
            }
        }
        let listed = self.listed_members(room)?;
        if listed != expected.iter().map(|(user, entry)| (*user, *entry)).collect::<Vec<_>>() {
            problems.push(format!("{} members are listed, its state has {}", listed.len(), expected.len()));
        }
        let counts = self.index.member_counts(room)?;
        if counts != count(expected) {
            problems
                .push(format!("its counts of members are {counts:?}, its state has {:?}", count(expected)));
        }
        problems.extend(self.server_problems(room, expected)?);
        Ok(problems)
    }

    /// The rows of ROOM_MEMBERS, by user.
    fn listed_members(&self, room: ShortRoomId) -> Result<Vec<(ShortUserId, Member)>, StorageError> {
        let range = ROOM_MEMBERS.prefix(&(room,));
        let rows = self.storage.scan(&ROOM_MEMBERS, &range, Direction::Forward);
        let mut listed = rows
            .map(|row| row.map(|((_, membership, user), event)| (user, (membership, event))))
            .collect::<Result<Vec<_>, _>>()?;
        listed.sort_unstable();
        Ok(listed)
    }

    fn is_local(&self, user: ShortUserId) -> bool {
        self.storage.user_id(user).is_ok_and(|user| user.server_name() == self.server_name)
    }

    /// Writes the rows anew from the state. What only the rows know (when it took effect, whether the room
    /// was forgotten) is kept where a row is there.
    fn rebuild(
        &self,
        rows: &mut Transaction<'_>,
        room: ShortRoomId,
        expected: &Members,
    ) -> Result<(), StorageError> {
        for (user, (membership, _)) in self.listed_members(room)? {
            rows.delete(&ROOM_MEMBERS, &(room, membership, user));
        }
        for (user, (membership, event)) in expected {
            let old = self.index.membership(*user, room)?;
            let meta = self.events.meta(*event)?;
            let row = MembershipRow {
                membership: *membership,
                event: *event,
                position: old.map(|old| old.position).or(meta.map(|meta| meta.position)).unwrap_or_default(),
                forgotten: old.is_some_and(|old| old.forgotten),
            };
            rows.put(&MEMBERSHIPS, &(*user, room), &row);
            rows.put(&ROOM_MEMBERS, &(room, *membership, *user), event);
            if self.is_local(*user) && *membership == Membership::Join {
                rows.put(&LOCAL_MEMBERS, &(room, *user), &());
            } else {
                rows.delete(&LOCAL_MEMBERS, &(room, *user));
            }
        }
        rows.put(&MEMBER_COUNTS, &room, &count(expected));
        self.rebuild_servers(rows, room, expected)
    }
}

fn count(members: &Members) -> (u64, u64) {
    let with = |wanted| members.values().filter(|(membership, _)| *membership == wanted).count() as u64;
    (with(Membership::Join), with(Membership::Invite))
}
