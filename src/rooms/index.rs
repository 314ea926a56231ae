//! Point reads about rooms and their members.

use std::sync::Arc;

use quick_cache::sync::Cache;
use ruma::{RoomId, UserId, room_version_rules::RoomVersionRules};

use super::{RoomError, limits};
use crate::{
    state::tree::StateRoot,
    storage::{
        Direction, Read, ShortRoomId, ShortUserId, Storage, StorageError,
        records::{Membership, MembershipRow, RoomHead, RoomRecord},
        tables::{LOCAL_MEMBERS, MEMBER_COUNTS, MEMBERSHIPS, ROOM_HEADS, ROOM_MEMBERS, ROOMS},
    },
};

/// Reads rooms' records, heads and memberships. Cheap to clone.
#[derive(Clone)]
pub struct RoomIndex {
    storage: Storage,
    records: Arc<Cache<ShortRoomId, Arc<RoomRecord>>>,
}

impl std::fmt::Debug for RoomIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RoomIndex").finish_non_exhaustive()
    }
}

impl RoomIndex {
    /// Over `storage`.
    pub fn new(storage: Storage) -> Self {
        Self { storage, records: Arc::new(Cache::new(limits::ROOM_RECORDS_CACHED_MAX)) }
    }

    /// A room that this server takes part in, or took part in.
    pub fn room(&self, room_id: &RoomId) -> Result<Option<ShortRoomId>, StorageError> {
        let Some(room) = self.storage.short_room_id(room_id)? else { return Ok(None) };
        Ok(self.record(room)?.map(|_| room))
    }

    /// What never changes about a room; `None` when this server has only heard of it.
    pub fn record(&self, room: ShortRoomId) -> Result<Option<Arc<RoomRecord>>, StorageError> {
        if let Some(record) = self.records.get(&room) {
            return Ok(Some(record));
        }
        let record = self.storage.get(&ROOMS, &room)?.map(|json| Arc::new(json.0));
        if let Some(record) = &record {
            self.records.insert(room, record.clone());
        }
        Ok(record)
    }

    /// Forgets the cached record of a room of which more has become known. Call after the write.
    pub(in crate::rooms) fn replaced(&self, room: ShortRoomId) {
        self.records.remove(&room);
    }

    /// Forgets the cached record of a room that is no more. Call after the write.
    pub(in crate::rooms) fn forget(&self, room: ShortRoomId) {
        self.records.remove(&room);
    }

    /// The rules of a room's version.
    pub fn rules(&self, room: ShortRoomId) -> Result<RoomVersionRules, RoomError> {
        let record = self.record(room)?.ok_or_else(|| missing_room(room))?;
        record.version.rules().ok_or_else(|| RoomError::UnknownVersion(record.version.clone()))
    }

    /// Where the room's history ends.
    pub fn head(&self, room: ShortRoomId) -> Result<Option<RoomHead>, StorageError> {
        self.storage.get(&ROOM_HEADS, &room)
    }

    /// The room's current state.
    pub fn current_state(&self, room: ShortRoomId) -> Result<StateRoot, StorageError> {
        Ok(self.head(room)?.map_or(StateRoot::EMPTY, |head| StateRoot::from_bytes(head.state)))
    }

    /// A user's current membership row for a room; `None` when the user never had one.
    pub fn membership(
        &self,
        user: ShortUserId,
        room: ShortRoomId,
    ) -> Result<Option<MembershipRow>, StorageError> {
        self.storage.get(&MEMBERSHIPS, &(user, room))
    }

    /// True when the user is joined now.
    pub fn is_joined(&self, user_id: &UserId, room: ShortRoomId) -> Result<bool, StorageError> {
        let Some(user) = self.storage.short_user_id(user_id)? else { return Ok(false) };
        Ok(self.membership(user, room)?.is_some_and(|row| row.membership == Membership::Join))
    }

    /// True when a user of this server is joined now, so that this server is told what happens in the room.
    pub fn has_local_member(&self, room: ShortRoomId) -> Result<bool, StorageError> {
        let range = LOCAL_MEMBERS.prefix(&(room,));
        Ok(self.storage.scan(&LOCAL_MEMBERS, &range, Direction::Forward).next().transpose()?.is_some())
    }

    /// A user's rooms with the user's membership of each, in the order of the rooms' short ids.
    pub fn rooms_of(
        &self,
        user: ShortUserId,
    ) -> impl Iterator<Item = Result<(ShortRoomId, MembershipRow), StorageError>> {
        self.storage
            .scan(&MEMBERSHIPS, &MEMBERSHIPS.prefix(&(user,)), Direction::Forward)
            .map(|row| row.map(|((_, room), row)| (room, row)))
    }

    /// The members of a room with one membership, in the order in which this server first saw the users.
    pub fn members(
        &self,
        room: ShortRoomId,
        membership: Membership,
    ) -> impl Iterator<Item = Result<(ShortUserId, crate::storage::ShortEventId), StorageError>> {
        self.storage
            .scan(&ROOM_MEMBERS, &ROOM_MEMBERS.prefix(&(room, membership)), Direction::Forward)
            .map(|row| row.map(|((_, _, user), event)| (user, event)))
    }

    /// How many members are joined and invited.
    pub fn member_counts(&self, room: ShortRoomId) -> Result<(u64, u64), StorageError> {
        Ok(self.storage.get(&MEMBER_COUNTS, &room)?.unwrap_or_default())
    }
}

fn missing_room(room: ShortRoomId) -> StorageError {
    StorageError::Missing { table: ROOMS.info.name, key: format!("{room:?}") }
}
