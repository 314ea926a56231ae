//! Which rooms changed for a user: found from the changes, never from the user's rooms.

use std::collections::{BTreeMap, BTreeSet};

use super::window::Span;
use crate::{
    rooms::{EventStore, RoomError, RoomIndex, RoomStates, StateHistory, Timelines, membership_of},
    state::tree::StateRoot,
    storage::{
        Direction, Read, ShortEventId, ShortRoomId, ShortStateKeyId, ShortUserId, Storage, StorageError,
        StreamPosition, TimelineKey,
        records::Membership,
        tables::{MEMBERSHIPS, OWN_MEMBERSHIP_CHANGES, ROOM_CHANGES, TIMELINE},
    },
};

use super::limits;

/// Reads what changed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ChangedRooms {
    storage: Storage,
    index: RoomIndex,
    events: EventStore,
    states: RoomStates,
    timelines: Timelines,
    history: StateHistory,
}

/// One change of a user's membership of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnChange {
    /// When.
    pub position: StreamPosition,
    /// The member event; `None` when it is not part of the room's timeline here.
    pub event: Option<ShortEventId>,
    /// The membership before.
    pub before: Option<Membership>,
    /// The membership after.
    pub after: Membership,
}

impl ChangedRooms {
    /// Over the rooms' changes.
    pub fn new(
        storage: Storage,
        index: RoomIndex,
        events: EventStore,
        states: RoomStates,
        timelines: Timelines,
    ) -> Self {
        let history = StateHistory::new(storage.clone(), index.clone(), events.clone());
        Self { storage, index, events, states, timelines, history }
    }

    /// All rooms of this server that changed after `since`, whoever is in them. A room's row moves forward
    /// while this reads, so there is no upper bound: a room that changed only later is looked at in vain.
    pub fn on_server(&self, since: StreamPosition) -> Result<BTreeSet<ShortRoomId>, StorageError> {
        let range = ROOM_CHANGES.from(&StreamPosition(since.0.saturating_add(1)));
        self.storage
            .scan(&ROOM_CHANGES, &range, Direction::Forward)
            .map(|row| row.map(|(_, room)| room))
            .collect()
    }

    /// The positions at which the user's own membership changed within a span, by room.
    pub fn own_changes(
        &self,
        user: ShortUserId,
        span: Span,
    ) -> Result<BTreeMap<ShortRoomId, Vec<StreamPosition>>, StorageError> {
        let after = |position: StreamPosition| (user, StreamPosition(position.0.saturating_add(1)));
        let since = span.since.unwrap_or_default();
        let range = OWN_MEMBERSHIP_CHANGES.between(&after(since), &after(span.until));
        let mut changes = BTreeMap::<_, Vec<_>>::new();
        for row in self.storage.scan(&OWN_MEMBERSHIP_CHANGES, &range, Direction::Forward) {
            let ((_, position), room) = row?;
            changes.entry(room).or_default().push(position);
        }
        Ok(changes)
    }

    /// Those of `rooms` to which the user was joined at `until`, for rooms without a change of the user's
    /// own up to there.
    pub fn joined(
        &self,
        user: ShortUserId,
        rooms: impl IntoIterator<Item = ShortRoomId>,
        until: StreamPosition,
    ) -> Result<Vec<ShortRoomId>, RoomError> {
        let keys: Vec<_> = rooms.into_iter().map(|room| (user, room)).collect();
        let rows = self.storage.get_many(&MEMBERSHIPS, &keys)?;
        let mut joined = Vec::new();
        for ((_, room), row) in keys.into_iter().zip(rows) {
            let Some(row) = row else { continue };
            // A row from after `until` hides what was before it.
            let is_joined = if row.position <= until {
                row.membership == Membership::Join
            } else {
                self.was_joined_before(user, room, until)?
            };
            if is_joined {
                joined.push(room);
            }
        }
        Ok(joined)
    }

    fn was_joined_before(
        &self,
        user: ShortUserId,
        room: ShortRoomId,
        until: StreamPosition,
    ) -> Result<bool, RoomError> {
        let range = OWN_MEMBERSHIP_CHANGES.prefix_from(&(user,), &(user, StreamPosition(until.0 + 1)));
        for row in self.storage.scan(&OWN_MEMBERSHIP_CHANGES, &range, Direction::Forward) {
            let ((_, position), changed) = row?;
            if changed == room {
                let change = self.own_change(user, room, position)?;
                return Ok(change.is_some_and(|change| change.before == Some(Membership::Join)));
            }
        }
        Ok(false)
    }

    /// What happened at the newest of these positions, oldest first.
    pub fn resolve(
        &self,
        user: ShortUserId,
        room: ShortRoomId,
        positions: &[StreamPosition],
    ) -> Result<Vec<OwnChange>, RoomError> {
        let skipped = positions.len().saturating_sub(limits::OWN_CHANGES_EXAMINED_MAX);
        let mut changes = Vec::new();
        for position in positions.iter().skip(skipped) {
            changes.extend(self.own_change(user, room, *position)?);
        }
        Ok(changes)
    }

    fn own_change(
        &self,
        user: ShortUserId,
        room: ShortRoomId,
        position: StreamPosition,
    ) -> Result<Option<OwnChange>, RoomError> {
        let Some((key, event)) = self.timeline_event(room, position)? else {
            // Invites to rooms that this server is not in have no timeline; only the newest row is known.
            let row = self.index.membership(user, room)?.filter(|row| row.position == position);
            return Ok(row.map(|row| OwnChange {
                position,
                event: None,
                before: None,
                after: row.membership,
            }));
        };
        // The event may be another's: one that joins the ends of a fork can change memberships too.
        let current = self.index.current_state(room)?;
        let next = TimelineKey(key.0.saturating_add(1));
        let (_, before) = self.member(user, self.history.before(room, key, event)?)?;
        let (event, after) = self.member(user, self.history.at(room, next)?.unwrap_or(current))?;
        Ok(Some(OwnChange { position, event, before, after: after.unwrap_or(Membership::Leave) }))
    }

    /// A user's member event in a state, and the membership that it sets.
    fn member(
        &self,
        user: ShortUserId,
        state: StateRoot,
    ) -> Result<(Option<ShortEventId>, Option<Membership>), RoomError> {
        let Some(event) = self.states.get_short(state, ShortStateKeyId::member(user))? else {
            return Ok((None, None));
        };
        let stored = self.events.get(event)?;
        Ok((Some(event), stored.and_then(|stored| membership_of(&stored.event))))
    }

    /// The event that a room's timeline has at a position, with its key.
    fn timeline_event(
        &self,
        room: ShortRoomId,
        position: StreamPosition,
    ) -> Result<Option<(TimelineKey, ShortEventId)>, StorageError> {
        let Some(head) = self.index.head(room)? else { return Ok(None) };
        let end = TimelineKey(head.newest.0.saturating_add(1));
        let before = StreamPosition(position.0.saturating_sub(1));
        let key = self.timelines.first_after(room, before, end)?;
        let row = self.storage.get(&TIMELINE, &(room, key))?;
        Ok(row.filter(|(_, at)| *at == position).map(|(event, _)| (key, event)))
    }
}
