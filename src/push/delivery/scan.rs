//! Finds what is to be pushed: from the changes since the last look, never from users' rooms.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use quick_cache::sync::Cache;
use ruma::OwnedUserId;

use super::{PushSources, badge::Badges};
use crate::{
    push::{Pusher, limits},
    rooms::{RoomError, StoredEvent, Viewer},
    storage::{
        Direction, Json, Read, ShortRoomId, ShortUserId, StorageError, StreamPosition, TimelineKey,
        records::{Membership, QueuedPush},
        tables::{MEMBERSHIPS, OWN_MEMBERSHIP_CHANGES, PUSH_QUEUE, PUSH_SCANNED, ROOM_CHANGES, TIMELINE},
    },
};

/// How far was looked, and what is remembered of who is to be told.
pub(super) struct Scan {
    scanned: Option<StreamPosition>,
    /// How far each user's own memberships were looked at, if not from where the first look began. A position is
    /// published before it is told whom it concerns: a look in between passes it, and the user is named to the next.
    memberships: HashMap<ShortUserId, StreamPosition>,
    /// Where the first look began.
    began: StreamPosition,
    written: StreamPosition,
    /// Changes of pushers that the users below know of.
    changes: Option<u64>,
    users: HashMap<ShortUserId, OwnedUserId>,
    /// The members of a room who have pushers.
    members: Cache<ShortRoomId, Arc<[ShortUserId]>>,
}

impl Default for Scan {
    fn default() -> Self {
        Self {
            scanned: None,
            memberships: HashMap::new(),
            began: StreamPosition(0),
            written: StreamPosition(0),
            changes: None,
            users: HashMap::new(),
            members: Cache::new(limits::PUSHED_ROOMS_CACHED_MAX),
        }
    }
}

/// What a look has found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Pushers with something to send; true for those that are to be told a smaller count.
    pub(super) pushers: Vec<(Pusher, bool)>,
    /// Nobody has pushers, so that nothing need be noted any more.
    pub(super) nobody_has_pushers: bool,
}

/// What one look gathers.
#[derive(Default)]
struct Gathered {
    rows: Vec<((u64, StreamPosition), QueuedPush)>,
    told: HashSet<ShortUserId>,
    read_more: HashSet<ShortUserId>,
}

/// The part of the stream that one look is at: after the first position, up to the second.
#[derive(Clone, Copy)]
struct Span {
    since: StreamPosition,
    until: StreamPosition,
}

impl Scan {
    /// Looks at what came since the last time. The first time, users whose own memberships changed are not
    /// known, and all are looked at.
    pub(super) fn look(
        &mut self,
        sources: &PushSources,
        badges: &Badges,
        changed_users: &HashSet<ShortUserId>,
    ) -> Result<Found, RoomError> {
        let is_first = self.scanned.is_none();
        self.learn_users(sources, badges)?;
        let until = sources.storage.position();
        if self.users.is_empty() {
            self.scanned = Some(until);
            return Ok(Found { nobody_has_pushers: true, ..Found::default() });
        }
        let since = match self.scanned {
            Some(scanned) => scanned,
            None => sources.storage.get(&PUSH_SCANNED, &())?.unwrap_or(until),
        };
        if is_first {
            self.began = since;
        }
        let span = Span { since, until };
        let mut gathered = Gathered::default();
        for room in changed_rooms(sources, since)? {
            self.look_at_room(sources, badges, room, span, &mut gathered)?;
        }
        let mut looked_at = Vec::new();
        for (user, user_id) in &self.users {
            if is_first || changed_users.contains(user) {
                let since = self.memberships.get(user).copied().unwrap_or(self.began);
                let span = Span { since, until };
                look_at_memberships(sources, badges, &viewer(*user, user_id), span, &mut gathered)?;
                looked_at.push(*user);
            }
        }
        self.write(sources, until, &gathered)?;
        self.memberships.extend(looked_at.into_iter().map(|user| (user, until)));
        self.scanned = Some(until);
        if is_first {
            gathered.told.extend(self.users.keys().copied());
        }
        let mut found = Found::default();
        for user in gathered.told.union(&gathered.read_more) {
            let has_less = gathered.read_more.contains(user);
            let pushers = sources.pushers.of_user(*user)?.into_iter().filter(|pusher| pusher.record.enabled);
            found.pushers.extend(pushers.map(|pusher| (pusher, has_less)));
        }
        Ok(found)
    }

    /// Reads anew who has pushers, if that has changed.
    fn learn_users(&mut self, sources: &PushSources, badges: &Badges) -> Result<(), StorageError> {
        let changes = sources.pushers.changes();
        if self.changes == Some(changes) {
            return Ok(());
        }
        self.users.clear();
        for user in sources.pushers.users()? {
            self.users.insert(user, sources.storage.user_id(user)?);
        }
        badges.keep_only(&self.users.keys().copied().collect());
        self.memberships.retain(|user, _| self.users.contains_key(user));
        self.members.clear();
        self.changes = Some(changes);
        Ok(())
    }

    fn look_at_room(
        &self,
        sources: &PushSources,
        badges: &Badges,
        room: ShortRoomId,
        span: Span,
        gathered: &mut Gathered,
    ) -> Result<(), RoomError> {
        for (key, position, stored) in new_events(sources, room, span)? {
            if stored.event.event_type() == "m.room.member" {
                // Somebody may have come or gone.
                self.members.remove(&room);
            }
            for user in self.members(sources, room)?.iter() {
                let Some(user_id) = self.users.get(user) else { continue };
                let viewer = viewer(*user, user_id);
                let Some(tweaks) = sources.unread.tweaks(&viewer, room, &stored)? else { continue };
                let push = QueuedPush {
                    room,
                    event: stored.short,
                    key: Some(key),
                    tweaks,
                    queued_ms: sources.clock.now_ms(),
                };
                queue(sources, *user, position, &push, gathered)?;
            }
        }
        for user in self.members(sources, room)?.iter() {
            if badges.look_at(*user, room, span.until)? {
                gathered.read_more.insert(*user);
            }
        }
        Ok(())
    }

    /// The joined members of a room who have pushers. Costs a read per user with pushers, once a room, and
    /// nothing from then on.
    fn members(&self, sources: &PushSources, room: ShortRoomId) -> Result<Arc<[ShortUserId]>, StorageError> {
        if let Some(members) = self.members.get(&room) {
            return Ok(members);
        }
        let keys: Vec<_> = self.users.keys().map(|user| (*user, room)).collect();
        let rows = sources.storage.get_many(&MEMBERSHIPS, &keys)?;
        let joined = keys.iter().zip(rows).filter_map(|((user, _), row)| {
            row.filter(|row| row.membership == Membership::Join).map(|_| *user)
        });
        let members: Arc<[ShortUserId]> = joined.collect();
        self.members.insert(room, members.clone());
        Ok(members)
    }

    /// Writes what is to be pushed, and how far was looked, as one.
    fn write(
        &mut self,
        sources: &PushSources,
        until: StreamPosition,
        gathered: &Gathered,
    ) -> Result<(), StorageError> {
        let passed = until.0.saturating_sub(self.written.0);
        if gathered.rows.is_empty() && passed < limits::SCANNED_UNWRITTEN_MAX {
            return Ok(());
        }
        sources.storage.write(|tx| {
            for (key, push) in &gathered.rows {
                tx.put(&PUSH_QUEUE, key, &Json(push.clone()));
            }
            tx.put(&PUSH_SCANNED, &(), &until);
            Ok::<_, StorageError>(())
        })?;
        self.written = until;
        Ok(())
    }
}

fn viewer(user: ShortUserId, user_id: &OwnedUserId) -> Viewer {
    Viewer { user, user_id: user_id.clone(), device_id: None }
}

/// The rooms that changed after a position. A room's row moves forward while this reads, so there is no upper
/// bound.
fn changed_rooms(sources: &PushSources, since: StreamPosition) -> Result<HashSet<ShortRoomId>, StorageError> {
    let range = ROOM_CHANGES.from(&StreamPosition(since.0.saturating_add(1)));
    let rows = sources.storage.scan(&ROOM_CHANGES, &range, Direction::Forward);
    rows.map(|row| row.map(|(_, room)| room)).collect()
}

/// The events of a room that became visible within a span, in order.
fn new_events(
    sources: &PushSources,
    room: ShortRoomId,
    span: Span,
) -> Result<Vec<(TimelineKey, StreamPosition, StoredEvent)>, RoomError> {
    let newest = sources.index.head(room)?.map_or(TimelineKey(0), |head| head.newest);
    let after = TimelineKey(newest.0.saturating_add(1));
    let first = sources.timelines.first_after(room, span.since, after)?;
    let evaluated_max = i64::try_from(limits::EVENTS_EVALUATED_MAX).unwrap_or(i64::MAX);
    let first = TimelineKey(first.0.max(newest.0.saturating_sub(evaluated_max)));
    let range = TIMELINE.prefix_from(&(room,), &(room, first));
    let mut found = Vec::new();
    for row in sources.storage.scan(&TIMELINE, &range, Direction::Forward) {
        let ((_, key), (short, position)) = row?;
        if position > span.until {
            break;
        }
        if let Some(stored) = sources.events.get(short)? {
            found.push((key, position, stored));
        }
    }
    Ok(found)
}

/// A user's own memberships that changed: invites notify, and leaving a room leaves nothing to read.
fn look_at_memberships(
    sources: &PushSources,
    badges: &Badges,
    viewer: &Viewer,
    span: Span,
    gathered: &mut Gathered,
) -> Result<(), RoomError> {
    let after = |position: StreamPosition| (viewer.user, StreamPosition(position.0.saturating_add(1)));
    let range = OWN_MEMBERSHIP_CHANGES.between(&after(span.since), &after(span.until));
    let rows = sources.storage.scan(&OWN_MEMBERSHIP_CHANGES, &range, Direction::Forward);
    for row in rows.collect::<Result<Vec<_>, _>>()? {
        let ((_, position), room) = row;
        if badges.look_at(viewer.user, room, span.until)? {
            gathered.read_more.insert(viewer.user);
        }
        let now = sources.index.membership(viewer.user, room)?;
        let invite = now.filter(|row| row.membership == Membership::Invite && row.position == position);
        let Some(invite) = invite else { continue };
        let Some(stored) = sources.events.get(invite.event)? else { continue };
        let Some(tweaks) = sources.unread.tweaks(viewer, room, &stored)? else { continue };
        let (event, queued_ms) = (stored.short, sources.clock.now_ms());
        let push = QueuedPush { room, event, key: None, tweaks, queued_ms };
        queue(sources, viewer.user, position, &push, gathered)?;
    }
    Ok(())
}

/// Puts an event into the queues of a user's pushers.
fn queue(
    sources: &PushSources,
    user: ShortUserId,
    position: StreamPosition,
    push: &QueuedPush,
    gathered: &mut Gathered,
) -> Result<(), StorageError> {
    for pusher in sources.pushers.of_user(user)? {
        if pusher.record.enabled && pusher.record.since < position {
            gathered.rows.push(((pusher.record.number, position), push.clone()));
            gathered.told.insert(user);
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
