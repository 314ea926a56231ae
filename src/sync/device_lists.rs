//! Whose devices a user's clients have to look at again (client-server API, "Tracking the device list for a user").
//!
//! A user shares a room with another if the user is joined to it and the other is joined or invited. A client is
//! told of
//!
//! - users whose keys changed and with whom its user shares a room, encrypted or not;
//! - users with whom its user began to share a room, since keys may have changed unseen before; its user is one of
//!   them, whose other devices get keys of the room too;
//! - users with whom its user shares no room any more, as their changes will not be told.
//!
//! All three are found from what changed: the stream of device list changes, and of each room that changed the
//! difference of its states, which names the members who came and went. A room's members are walked only if the
//! user came or went, or the room became encrypted: then they are the answer. Whoever is told too much asks in vain
//! once; nobody is told too little. Main type: [`DeviceLists`].

use std::collections::BTreeSet;

use ruma::OwnedUserId;

use super::{changed_rooms::ChangedRooms, limits, window::Span};
use crate::{
    rooms::{EventStore, RoomError, RoomIndex, RoomStates, Timelines, membership_of},
    state::tree::StateRoot,
    storage::{
        Direction, Read, ShortEventId, ShortRoomId, ShortStateKeyId, ShortUserId, Storage, StorageError,
        StreamPosition, TimelineKey,
        records::Membership,
        tables::{EVENT_META, FORKED_STATES, MEMBERSHIPS, TIMELINE},
    },
    users::keys::device_list,
};

/// Whose devices changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceListChanges {
    /// Users to look at again.
    pub changed: BTreeSet<OwnedUserId>,
    /// Users to forget.
    pub left: BTreeSet<OwnedUserId>,
}

/// Finds changes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DeviceLists {
    storage: Storage,
    index: RoomIndex,
    events: EventStore,
    states: RoomStates,
    timelines: Timelines,
    changed: ChangedRooms,
}

impl DeviceLists {
    /// Over the rooms' changes.
    pub fn new(
        storage: Storage,
        index: RoomIndex,
        events: EventStore,
        states: RoomStates,
        timelines: Timelines,
    ) -> Self {
        let changed = ChangedRooms::new(
            storage.clone(),
            index.clone(),
            events.clone(),
            states.clone(),
            timelines.clone(),
        );
        Self { storage, index, events, states, timelines, changed }
    }

    /// What a user's clients have to know of the time after `since` up to `until`. Something that happened after
    /// `until` may be told too; it will be told again.
    pub fn changes(
        &self,
        user: ShortUserId,
        since: StreamPosition,
        until: StreamPosition,
    ) -> Result<DeviceListChanges, RoomError> {
        let mut search = Search { lists: self, user, since, changed: BTreeSet::new(), left: BTreeSet::new() };
        search.add_changed_keys()?;
        search.add_rooms(until)?;
        let Search { changed, left, .. } = search;
        let mut found = DeviceListChanges::default();
        for gone in left.difference(&changed).take(limits::LEFT_USERS_EXAMINED_MAX) {
            if !self.share_a_room(user, *gone)? {
                found.left.insert(self.storage.user_id(*gone)?);
            }
        }
        for changed in changed {
            found.changed.insert(self.storage.user_id(changed)?);
        }
        Ok(found)
    }

    /// Whether a user shares a room with another: the user is joined to it, and the other joined or invited. Costs
    /// the shorter of their lists of rooms.
    pub fn share_a_room(&self, user: ShortUserId, other: ShortUserId) -> Result<bool, StorageError> {
        if user == other {
            return Ok(true);
        }
        let rows = |user| {
            self.storage
                .scan(&MEMBERSHIPS, &MEMBERSHIPS.prefix(&(user,)), Direction::Forward)
                .map(|row| row.map(|((_, room), row)| (room, row)))
        };
        let (mut ours, mut theirs) = (rows(user), rows(other));
        let (mut joined, mut present) = (Vec::new(), Vec::new());
        for _ in 0..limits::SHARED_ROOMS_EXAMINED_MAX {
            match ours.next().transpose()? {
                Some((room, row)) if is_joined(row.membership) => joined.push(room),
                Some(_) => {}
                None => return self.is_in_one_of(&joined, other, is_present),
            }
            match theirs.next().transpose()? {
                Some((room, row)) if is_present(row.membership) => present.push(room),
                Some(_) => {}
                None => return self.is_in_one_of(&present, user, is_joined),
            }
        }
        Ok(true)
    }

    fn is_in_one_of(
        &self,
        rooms: &[ShortRoomId],
        user: ShortUserId,
        counts: impl Fn(Membership) -> bool,
    ) -> Result<bool, StorageError> {
        let keys: Vec<_> = rooms.iter().map(|room| (user, *room)).collect();
        let mut rows = self.storage.get_many(&MEMBERSHIPS, &keys)?.into_iter().flatten();
        Ok(rows.any(|row| counts(row.membership)))
    }

    /// The state of a room as of a position, if it changed afterwards.
    fn state_at(
        &self,
        room: ShortRoomId,
        position: StreamPosition,
        newest: TimelineKey,
    ) -> Result<Option<StateRoot>, RoomError> {
        let end = TimelineKey(newest.0.saturating_add(1));
        let key = self.timelines.first_after(room, position, end)?;
        let Some((event, _)) = self.storage.get(&TIMELINE, &(room, key))? else { return Ok(None) };
        if let Some(root) = self.storage.get(&FORKED_STATES, &(room, key))? {
            return Ok(Some(StateRoot::from_bytes(root)));
        }
        let meta = self.storage.get(&EVENT_META, &event)?;
        Ok(meta.map(|meta| StateRoot::from_bytes(meta.state_before)))
    }

    fn is_member_event_of_present(&self, event: Option<ShortEventId>) -> Result<bool, RoomError> {
        let Some(event) = event else { return Ok(false) };
        let stored = self.events.get(event)?;
        Ok(stored.and_then(|stored| membership_of(&stored.event)).is_some_and(is_present))
    }

    fn encryption_key(&self) -> Result<Option<ShortStateKeyId>, StorageError> {
        self.storage.short_state_key_id("m.room.encryption", "")
    }
}

fn is_joined(membership: Membership) -> bool {
    membership == Membership::Join
}

/// Members whose devices get keys: those who are invited may read what is sent before they join.
fn is_present(membership: Membership) -> bool {
    matches!(membership, Membership::Join | Membership::Invite)
}

/// One answer in the making.
struct Search<'a> {
    lists: &'a DeviceLists,
    user: ShortUserId,
    since: StreamPosition,
    changed: BTreeSet<ShortUserId>,
    /// Those who may have gone.
    left: BTreeSet<ShortUserId>,
}

impl Search<'_> {
    /// Users whose keys changed.
    fn add_changed_keys(&mut self) -> Result<(), RoomError> {
        for user in device_list::changed_since(&self.lists.storage, self.since) {
            let user = user?;
            if self.lists.share_a_room(self.user, user)? {
                self.changed.insert(user);
            }
        }
        Ok(())
    }

    /// Users who came and went, room by room.
    fn add_rooms(&mut self, until: StreamPosition) -> Result<(), RoomError> {
        let changed = &self.lists.changed;
        let own = changed.own_changes(self.user, Span { since: Some(self.since), until })?;
        let mut rooms = changed.on_server(self.since)?;
        rooms.extend(own.keys());
        let rooms: Vec<_> = rooms.into_iter().collect();
        let keys: Vec<_> = rooms.iter().map(|room| (self.user, *room)).collect();
        let rows = self.lists.storage.get_many(&MEMBERSHIPS, &keys)?;
        for (room, row) in rooms.into_iter().zip(rows) {
            match row {
                Some(row) if row.membership == Membership::Join && row.position > self.since => {
                    self.add_members_of_new_room(room)?;
                    self.add_those_who_had_left(room)?;
                }
                Some(row) if row.membership == Membership::Join => self.add_difference(room)?,
                _ => {
                    if let Some(positions) = own.get(&room) {
                        self.add_room_that_was_left(room, positions)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The user came to the room: its members.
    fn add_members_of_new_room(&mut self, room: ShortRoomId) -> Result<(), RoomError> {
        let (joined, _) = self.lists.index.member_counts(room)?;
        if joined > limits::UNENCRYPTED_MEMBERS_TOLD_MAX && !self.is_encrypted(room)? {
            return Ok(());
        }
        self.changed.extend(self.members(room)?);
        self.changed.insert(self.user);
        Ok(())
    }

    /// The members of a room but the user.
    fn members(&self, room: ShortRoomId) -> Result<Vec<ShortUserId>, StorageError> {
        let mut members = Vec::new();
        for membership in [Membership::Join, Membership::Invite] {
            for member in self.lists.index.members(room, membership) {
                let (member, _) = member?;
                if member != self.user {
                    members.push(member);
                }
            }
        }
        Ok(members)
    }

    fn is_encrypted(&self, room: ShortRoomId) -> Result<bool, RoomError> {
        let Some(key) = self.lists.encryption_key()? else { return Ok(false) };
        let state = self.lists.index.current_state(room)?;
        Ok(self.lists.states.get_short(state, key)?.is_some())
    }

    /// The user has been in the room all the time: those who came and went.
    fn add_difference(&mut self, room: ShortRoomId) -> Result<(), RoomError> {
        let Some(head) = self.lists.index.head(room)? else { return Ok(()) };
        let now = StateRoot::from_bytes(head.state);
        let Some(before) = self.lists.state_at(room, self.since, head.newest)? else { return Ok(()) };
        if before == now {
            return Ok(());
        }
        let encryption = self.lists.encryption_key()?;
        for difference in self.lists.states.diff(before, now)? {
            if Some(difference.key) == encryption && difference.before.is_none() {
                self.changed.extend(self.members(room)?);
            }
            let Some(member) = difference.key.as_member().filter(|member| *member != self.user) else {
                continue;
            };
            match self.lists.index.membership(member, room)? {
                Some(row) if is_present(row.membership) => {
                    // Another name or avatar moves no position.
                    if row.position > self.since {
                        self.changed.insert(member);
                    }
                }
                _ => {
                    if self.lists.is_member_event_of_present(difference.before)? {
                        self.left.insert(member);
                    }
                }
            }
        }
        Ok(())
    }

    /// The user has gone from the room: its members, if the user was in it at the start.
    fn add_room_that_was_left(
        &mut self,
        room: ShortRoomId,
        positions: &[StreamPosition],
    ) -> Result<(), RoomError> {
        let changes = self.lists.changed.resolve(self.user, room, positions)?;
        if !changes.iter().any(|change| change.before == Some(Membership::Join)) {
            return Ok(());
        }
        self.left.extend(self.members(room)?);
        self.add_those_who_had_left(room)
    }

    /// The user went from a room and perhaps came back: who went from it besides, or may have.
    fn add_those_who_had_left(&mut self, room: ShortRoomId) -> Result<(), RoomError> {
        let Some(head) = self.lists.index.head(room)? else { return Ok(()) };
        let Some(before) = self.lists.state_at(room, self.since, head.newest)? else { return Ok(()) };
        let own = self.lists.states.get_short(before, ShortStateKeyId::member(self.user))?;
        if !self.lists.is_member_event_of_present(own)? {
            return Ok(());
        }
        for difference in self.lists.states.diff(before, StateRoot::from_bytes(head.state))? {
            let Some(member) = difference.key.as_member().filter(|member| *member != self.user) else {
                continue;
            };
            if self.lists.is_member_event_of_present(difference.before)? {
                self.left.insert(member);
            }
        }
        Ok(())
    }
}
