//! Which events of a room another server may see ([room history visibility], applied to servers).
//!
//! A server sees an event if one of its users could: always where history is shared or world-readable, else if
//! a user of it was joined (or invited, where the setting says so) at the event. Who was joined at an old state
//! is found by what differs between that state and the current one, so that it costs the difference and not the
//! room.
//!
//! [room history visibility]: https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    sync::Arc,
};

use ruma::{ServerName, room_version_rules::RoomVersionRules};

use super::{Resident, ResidentError};
use crate::{
    matrix::{event::Event, redaction},
    rooms::{History, RoomError, StoredEvent, limits, membership_of},
    state::tree::StateRoot,
    storage::{
        Read, ShortEventId, ShortRoomId, ShortStateKeyId, ShortUserId, StorageError,
        records::{EventStatus, Membership},
    },
};

/// One room as one other server, which is in it, may see it. Made for one request.
#[derive(Debug)]
pub struct ServerView<'a> {
    pub(super) resident: &'a Resident,
    server: &'a ServerName,
    room: ShortRoomId,
    rules: RoomVersionRules,
    history_key: Option<ShortStateKeyId>,
    /// Decisions by state.
    memo: RefCell<HashMap<[u8; 16], bool>>,
}

impl<'a> ServerView<'a> {
    pub(super) fn new(
        resident: &'a Resident,
        server: &'a ServerName,
        room: ShortRoomId,
    ) -> Result<Self, ResidentError> {
        let history_key = resident.storage.short_state_key_id("m.room.history_visibility", "")?;
        let rules = resident.index.rules(room)?;
        Ok(Self { resident, server, room, rules, history_key, memo: RefCell::default() })
    }

    /// The room.
    pub fn room(&self) -> ShortRoomId {
        self.room
    }

    /// An event of this room's graph by its id, if this server has it and has accepted or soft-failed it.
    /// Seeing it is another matter.
    pub(super) fn in_graph(&self, event: ShortEventId) -> Result<Option<StoredEvent>, RoomError> {
        let stored = self.resident.events.get(event)?;
        Ok(stored.filter(|stored| {
            stored.meta.room == self.room
                && matches!(stored.meta.status, EventStatus::Accepted | EventStatus::SoftFailed)
        }))
    }

    /// Whether the server may see the event in full.
    pub fn sees(&self, stored: &StoredEvent) -> Result<bool, RoomError> {
        if stored.meta.room != self.room || stored.meta.status == EventStatus::Outlier {
            return Ok(false);
        }
        if stored.event.sender().server_name() == self.server {
            return Ok(true);
        }
        let root = StateRoot::from_bytes(stored.meta.state_before);
        if let Some(known) = self.memo.borrow().get(&stored.meta.state_before) {
            return Ok(*known);
        }
        let sees = match self.history_at(root)? {
            History::WorldReadable | History::Shared => true,
            History::Invited => self.had_member_at(root, true)?,
            History::Joined => self.had_member_at(root, false)?,
        };
        let mut memo = self.memo.borrow_mut();
        if memo.len() >= limits::VISIBILITY_MEMO_ENTRIES_MAX {
            memo.clear();
        }
        memo.insert(stored.meta.state_before, sees);
        Ok(sees)
    }

    /// An event that the server may see in full, by its short id.
    pub fn sees_short(&self, event: ShortEventId) -> Result<Option<StoredEvent>, RoomError> {
        let Some(stored) = self.resident.events.get(event)? else { return Ok(None) };
        Ok(self.sees(&stored)?.then_some(stored))
    }

    /// The event as the server gets it among others: in full, or redacted where it may not see it, so that the
    /// graph has no hole.
    pub fn shown(&self, stored: &StoredEvent) -> Result<Arc<Event>, RoomError> {
        if self.sees(stored)? {
            return Ok(stored.event.clone());
        }
        let redacted = redaction::redact(&stored.event, &self.rules).map_err(|source| {
            RoomError::CorruptEvent { event_id: stored.event.event_id().to_owned(), source }
        })?;
        Ok(Arc::new(redacted))
    }

    fn history_at(&self, root: StateRoot) -> Result<History, RoomError> {
        let Some(key) = self.history_key else { return Ok(History::Shared) };
        let Some(event) = self.resident.states.get_short(root, key)? else { return Ok(History::Shared) };
        // A setting that was made but can't be read hides, rather than shows.
        let stored = self.resident.events.get(event)?;
        Ok(stored.map_or(History::Joined, |stored| History::of(&stored.event)))
    }

    /// Whether a user of the server was joined in a state, or invited, if that counts.
    fn had_member_at(&self, root: StateRoot, invites_count: bool) -> Result<bool, RoomError> {
        let counts = |membership| {
            membership == Membership::Join || (invites_count && membership == Membership::Invite)
        };
        let current = self.resident.index.current_state(self.room)?;
        // Those whose member event is another one now, and how many of them are joined now.
        let (mut changed, mut joined_since) = (HashSet::new(), 0);
        for difference in self.resident.states.diff(root, current)? {
            let Some(user) = difference.key.as_member() else { continue };
            if !self.is_of_server(user)? {
                continue;
            }
            changed.insert(user);
            if self.membership_in(difference.before)?.is_some_and(counts) {
                return Ok(true);
            }
            joined_since += u64::from(self.membership_in(difference.after)? == Some(Membership::Join));
        }
        // All others are now what they were then.
        if self.resident.servers.joined_members(self.room, self.server)? > joined_since {
            return Ok(true);
        }
        let invited = self.resident.index.members(self.room, Membership::Invite);
        for member in invited.take(if invites_count { limits::INVITED_LOOKED_AT_MAX } else { 0 }) {
            let (user, _) = member?;
            if !changed.contains(&user) && self.is_of_server(user)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_of_server(&self, user: ShortUserId) -> Result<bool, StorageError> {
        Ok(self.resident.storage.user_id(user)?.server_name() == self.server)
    }

    fn membership_in(&self, event: Option<ShortEventId>) -> Result<Option<Membership>, RoomError> {
        let Some(event) = event else { return Ok(None) };
        Ok(self.resident.events.get(event)?.and_then(|stored| membership_of(&stored.event)))
    }
}
