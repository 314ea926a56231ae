//! How many rooms have something unread, for the number on an application's icon.
//!
//! Rooms of a user are walked once, when the number is first asked for; after that only rooms that changed are
//! looked at again.

use std::{
    collections::{HashMap, HashSet},
    sync::Mutex,
};

use super::{PushSources, lock};
use crate::{
    rooms::{RoomError, Viewer},
    storage::{Read, ShortRoomId, ShortUserId, StreamPosition, records::Membership},
};

/// The rooms with something unread, of each user with pushers.
pub(super) struct Badges {
    sources: PushSources,
    of_users: Mutex<HashMap<ShortUserId, HashSet<ShortRoomId>>>,
}

impl Badges {
    pub(super) fn new(sources: PushSources) -> Self {
        Self { sources, of_users: Mutex::default() }
    }

    /// How many rooms have something unread, invites among them, as of now.
    pub(super) fn count(&self, user: ShortUserId) -> Result<usize, RoomError> {
        if let Some(rooms) = lock(&self.of_users).get(&user) {
            return Ok(rooms.len());
        }
        self.walk(user)
    }

    fn walk(&self, user: ShortUserId) -> Result<usize, RoomError> {
        let until = self.sources.storage.position();
        let mut unread = HashSet::new();
        for membership in [Membership::Join, Membership::Invite] {
            for room in self.rooms(user, membership)? {
                if self.is_unread(user, room, until)? {
                    unread.insert(room);
                }
            }
        }
        let count = unread.len();
        lock(&self.of_users).insert(user, unread);
        Ok(count)
    }

    fn rooms(&self, user: ShortUserId, membership: Membership) -> Result<Vec<ShortRoomId>, RoomError> {
        let mut rooms = Vec::new();
        for row in self.sources.index.rooms_of(user) {
            let (room, row) = row?;
            if row.membership == membership {
                rooms.push(room);
            }
        }
        Ok(rooms)
    }

    /// Looks at a room again that has changed; true when there is less to read than before.
    pub(super) fn look_at(
        &self,
        user: ShortUserId,
        room: ShortRoomId,
        until: StreamPosition,
    ) -> Result<bool, RoomError> {
        if !lock(&self.of_users).contains_key(&user) {
            self.walk(user)?;
            return Ok(false);
        }
        let is_unread = self.is_unread(user, room, until)?;
        let mut of_users = lock(&self.of_users);
        let rooms = of_users.entry(user).or_default();
        Ok(if is_unread {
            rooms.insert(room);
            false
        } else {
            rooms.remove(&room)
        })
    }

    /// Forgets users who have no pushers any more.
    pub(super) fn keep_only(&self, users: &HashSet<ShortUserId>) {
        lock(&self.of_users).retain(|user, _| users.contains(user));
    }

    fn is_unread(
        &self,
        user: ShortUserId,
        room: ShortRoomId,
        until: StreamPosition,
    ) -> Result<bool, RoomError> {
        match self.sources.index.membership(user, room)?.map(|row| row.membership) {
            Some(Membership::Invite) => Ok(true),
            Some(Membership::Join) => {
                let user_id = self.sources.storage.user_id(user)?;
                let viewer = Viewer { user, user_id, device_id: None };
                Ok(self.sources.unread.of_room(&viewer, room, until)?.total().notify > 0)
            }
            _ => Ok(false),
        }
    }
}
