//! How much of a room a user has not read.
//!
//! Counted when the user looks, from where counting stopped the last time: each event that came since is
//! tried on the user's rules once, and those that notify are remembered until they are read. So sending
//! costs nothing here, a look costs the events since the last one, and a receipt anywhere in between, of the
//! room or of a thread, leaves exactly what came after it. What is remembered is bounded
//! ([`limits::UNREAD_KEPT_MAX`]): a room that nobody reads counts no further.
//!
//! The memory is written to the store only every few dozen events, and a user who reads along never causes a
//! write: what was not written is counted again.

use std::{
    collections::{BTreeMap, HashSet, btree_map::Entry},
    sync::{Arc, Mutex, PoisonError},
};

use quick_cache::{Weighter, sync::Cache};
use ruma::{
    EventId, OwnedUserId,
    push::{Action, Ruleset},
};

use super::{
    PushRules, RoomFacts,
    evaluate::{evaluate, matching_rule, tweaks_of},
    limits,
};
use crate::{
    matrix::{event::Event, power_levels::RoomPowerLevels},
    rooms::{
        EventStore, Receipts, RoomError, RoomIndex, RoomStates, StoredEvent, ThreadSubscriptions, Timelines,
        Viewer, thread_root,
    },
    storage::{
        Direction, Read, ShortEventId, ShortRoomId, ShortStateKeyId, ShortUserId, Storage, StorageError,
        StreamPosition, TimelineKey,
        records::{Membership, UnreadEvent, UnreadRow},
        tables::{TIMELINE, UNREAD},
    },
    users::{InviteFilter, ignored_users},
};

/// How many unread events notify.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them.
    pub notify: u64,
    /// Those that are highlighted.
    pub highlight: u64,
}

impl Counts {
    fn add(&mut self, event: &UnreadEvent) {
        self.notify += 1;
        self.highlight += u64::from(event.highlight);
    }
}

/// What is unread in a room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoomUnread {
    /// In the main timeline.
    pub main: Counts,
    /// In each thread that has something unread, by its root.
    pub threads: BTreeMap<ShortEventId, Counts>,
}

impl RoomUnread {
    /// In the main timeline and all threads together.
    pub fn total(&self) -> Counts {
        self.threads.values().fold(self.main, |total, counts| Counts {
            notify: total.notify + counts.notify,
            highlight: total.highlight + counts.highlight,
        })
    }
}

/// Counts what is unread. Cheap to clone.
#[derive(Clone)]
pub struct UnreadCounts {
    storage: Storage,
    index: RoomIndex,
    events: EventStore,
    states: RoomStates,
    timelines: Timelines,
    rules: PushRules,
    cache: Arc<UnreadCache>,
}

type UnreadCache = Cache<(ShortUserId, ShortRoomId), Remembered, RememberedBytes>;

/// A room's row with what it weighed when it was put into the cache: a weight there must not change.
#[derive(Debug, Clone)]
struct Remembered {
    bytes: u64,
    counted: Arc<Mutex<Counted>>,
}

#[derive(Clone)]
struct RememberedBytes;

impl Weighter<(ShortUserId, ShortRoomId), Remembered> for RememberedBytes {
    fn weight(&self, _key: &(ShortUserId, ShortRoomId), remembered: &Remembered) -> u64 {
        remembered.bytes
    }
}

fn row_bytes(row: &UnreadRow) -> u64 {
    (limits::UNREAD_ROOM_BYTES + row.events.capacity() * size_of::<UnreadEvent>()) as u64
}

/// A room's row, and how many events it has been moved on since it was written.
#[derive(Debug)]
struct Counted {
    row: UnreadRow,
    unwritten: u32,
}

impl std::fmt::Debug for UnreadCounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnreadCounts").finish_non_exhaustive()
    }
}

/// What [`UnreadCounts`] reads from.
#[derive(Debug, Clone)]
pub struct UnreadSources {
    /// The store.
    pub storage: Storage,
    /// Members.
    pub index: RoomIndex,
    /// Events by id.
    pub events: EventStore,
    /// States by root.
    pub states: RoomStates,
    /// Rooms' histories.
    pub timelines: Timelines,
    /// Whom to tell of what.
    pub rules: PushRules,
}

impl UnreadCounts {
    /// Over the sources.
    pub fn new(sources: UnreadSources) -> Self {
        let UnreadSources { storage, index, events, states, timelines, rules } = sources;
        let (items, bytes) = (limits::UNREAD_CACHED_MAX, limits::UNREAD_CACHED_BYTES_MAX);
        let cache = Arc::new(Cache::with_weighter(items, bytes, RememberedBytes));
        Self { storage, index, events, states, timelines, rules, cache }
    }

    /// What a member of a room has not read of what came up to `until`.
    pub fn of_room(
        &self,
        viewer: &Viewer,
        room: ShortRoomId,
        until: StreamPosition,
    ) -> Result<RoomUnread, RoomError> {
        let membership = self.index.membership(viewer.user, room)?;
        let Some(joined) = membership.filter(|row| row.membership == Membership::Join) else {
            return Ok(RoomUnread::default());
        };
        let remembered = self.remembered(viewer.user, room)?;
        let mut counted = remembered.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.row.joined != joined.position {
            counted.row = self.fresh_row(room, joined.position)?;
        }
        let read_to = Receipts::read_up_to(&self.storage, viewer.user, room)?.unwrap_or(TimelineKey(0));
        self.count(viewer, room, until, read_to, &mut counted)?;
        self.drop_read(viewer.user, room, read_to, &mut counted.row)?;
        if counted.unwritten >= limits::EVENTS_UNWRITTEN_MAX {
            self.storage.write(|tx| {
                tx.put(&UNREAD, &(viewer.user, room), &counted.row);
                Ok::<_, StorageError>(())
            })?;
            counted.unwritten = 0;
        }
        let unread = summed(&counted.row);
        let needed = counted.row.events.len().saturating_mul(2);
        counted.row.events.shrink_to(needed);
        let bytes = row_bytes(&counted.row);
        drop(counted);
        if bytes != remembered.bytes {
            self.cache.insert((viewer.user, room), Remembered { bytes, ..remembered });
        }
        Ok(unread)
    }

    fn remembered(&self, user: ShortUserId, room: ShortRoomId) -> Result<Remembered, StorageError> {
        if let Some(remembered) = self.cache.get(&(user, room)) {
            return Ok(remembered);
        }
        let row = self.storage.get(&UNREAD, &(user, room))?.unwrap_or_default();
        let bytes = row_bytes(&row);
        let remembered = Remembered { bytes, counted: Arc::new(Mutex::new(Counted { row, unwritten: 0 })) };
        // Two that come at once must share one, or one would miss what the other has counted.
        self.cache.get_or_insert_with(&(user, room), || Ok(remembered))
    }

    /// Counting starts with the joining: what was before is no news for the user.
    fn fresh_row(&self, room: ShortRoomId, joined: StreamPosition) -> Result<UnreadRow, StorageError> {
        let newest = self.index.head(room)?.map_or(TimelineKey(0), |head| head.newest);
        let after = TimelineKey(newest.0.saturating_add(1));
        let first = self.timelines.first_after(room, joined, after)?;
        Ok(UnreadRow { joined, counted_to: TimelineKey(first.0.saturating_sub(1)), events: Vec::new() })
    }

    /// Tries the events that were not counted yet on the user's rules.
    fn count(
        &self,
        viewer: &Viewer,
        room: ShortRoomId,
        until: StreamPosition,
        read_to: TimelineKey,
        counted: &mut Counted,
    ) -> Result<(), RoomError> {
        let newest = self.index.head(room)?.map_or(TimelineKey(0), |head| head.newest);
        let evaluated_max = i64::try_from(limits::EVENTS_EVALUATED_MAX).unwrap_or(i64::MAX);
        let from = counted.row.counted_to.max(read_to).0.max(newest.0.saturating_sub(evaluated_max));
        if from >= newest.0 {
            counted.row.counted_to = counted.row.counted_to.max(newest.min(read_to));
            return Ok(());
        }
        let mut reader = None;
        let first = (room, TimelineKey(from.saturating_add(1)));
        let range = TIMELINE.prefix_from(&(room,), &first);
        for row in self.storage.scan(&TIMELINE, &range, Direction::Forward) {
            let ((_, key), (short, position)) = row?;
            if position > until {
                break;
            }
            if let Some(stored) = self.events.get(short)? {
                let reader = match &mut reader {
                    Some(reader) => reader,
                    None => reader.insert(self.reader(viewer, room)?),
                };
                self.count_event(viewer, reader, key, &stored, &mut counted.row)?;
            }
            counted.row.counted_to = key;
            counted.unwritten += 1;
        }
        let too_many = counted.row.events.len().saturating_sub(limits::UNREAD_KEPT_MAX);
        counted.row.events.drain(..too_many);
        Ok(())
    }

    /// How the user is to be told of an event: the tweaks that the user's rules set, or `None` if they say not to
    /// notify. As when counting, redacted events and ignored senders never do.
    pub fn tweaks(
        &self,
        viewer: &Viewer,
        room: ShortRoomId,
        stored: &StoredEvent,
    ) -> Result<Option<serde_json::Map<String, serde_json::Value>>, RoomError> {
        let actions = self.actions(&self.reader(viewer, room)?, viewer, stored)?;
        Ok(actions.map(|actions| tweaks_of(&actions)))
    }

    /// The actions of the rule that notifies the reader of an event, or `None` if none does; as
    /// [`tweaks`](Self::tweaks), for several events of one room.
    pub(super) fn actions(
        &self,
        reader: &Reader<'_>,
        viewer: &Viewer,
        stored: &StoredEvent,
    ) -> Result<Option<Vec<Action>>, RoomError> {
        let is_own = stored.meta.sender == viewer.user;
        let is_silent = stored.meta.redacted_by.is_some() || reader.ignored.contains(stored.event.sender());
        if is_own || is_silent || self.is_unwanted_invite(viewer, &stored.event)? {
            return Ok(None);
        }
        let rule = matching_rule(&reader.rules, &viewer.user_id, &stored.event, &reader.facts)?;
        Ok(rule.filter(|rule| rule.triggers_notification()).map(|rule| rule.actions().to_vec()))
    }

    /// Whether an event invites the user, who does not take invites of its sender.
    fn is_unwanted_invite(&self, viewer: &Viewer, event: &Event) -> Result<bool, RoomError> {
        if !event.is_state_of("m.room.member", viewer.user_id.as_str())
            || event.membership().as_deref() != Some("invite")
        {
            return Ok(false);
        }
        let filter = InviteFilter::of(&self.storage, viewer.user, &viewer.user_id)?;
        Ok(!filter.shows(event.sender()))
    }

    fn count_event(
        &self,
        viewer: &Viewer,
        reader: &Reader<'_>,
        key: TimelineKey,
        stored: &StoredEvent,
        row: &mut UnreadRow,
    ) -> Result<(), RoomError> {
        let event = &stored.event;
        if let Some(target) = event.redacts() {
            let target = self.events.by_id(target)?.and_then(|target| target.meta.timeline);
            row.events.retain(|event| Some(event.key) != target);
        }
        if stored.meta.sender == viewer.user {
            // "or by sending an event": who answers has read what came before, in that thread.
            let thread = self.thread(stored)?;
            row.events.retain(|event| event.thread != thread);
            return Ok(());
        }
        if stored.meta.redacted_by.is_some() || reader.ignored.contains(event.sender()) {
            return Ok(());
        }
        let outcome = evaluate(&reader.rules, &viewer.user_id, event, &reader.facts)?;
        if outcome.notify {
            let thread = self.thread(stored)?;
            row.events.push(UnreadEvent { key, thread, highlight: outcome.highlight });
        }
        Ok(())
    }

    /// The root of the event's thread; `None` in the main timeline.
    pub(super) fn thread(&self, event: &StoredEvent) -> Result<Option<ShortEventId>, RoomError> {
        match thread_root(&self.events, event)? {
            Some(root) => Ok(self.storage.short_event_id(&root)?),
            None => Ok(None),
        }
    }

    /// Forgets what has been read, in the room or in single threads.
    fn drop_read(
        &self,
        user: ShortUserId,
        room: ShortRoomId,
        read_to: TimelineKey,
        row: &mut UnreadRow,
    ) -> Result<(), RoomError> {
        row.events.retain(|event| event.key > read_to);
        let mut threads = BTreeMap::new();
        for event in &row.events {
            if let Entry::Vacant(thread) = threads.entry(event.thread) {
                thread.insert(self.thread_read_to(user, room, event.thread)?);
            }
        }
        row.events.retain(|event| threads.get(&event.thread).is_none_or(|read_to| event.key > *read_to));
        Ok(())
    }

    pub(super) fn thread_read_to(
        &self,
        user: ShortUserId,
        room: ShortRoomId,
        thread: Option<ShortEventId>,
    ) -> Result<TimelineKey, StorageError> {
        let thread_id = thread.map(|thread| self.storage.event_id(thread)).transpose()?;
        let thread = thread_id.as_ref().map_or("main", |thread| thread.as_str());
        let read_to = Receipts::thread_read_up_to(&self.storage, user, room, thread)?;
        Ok(read_to.unwrap_or(TimelineKey(0)))
    }

    /// Asks the viewer's rules about events of a room.
    pub(super) fn reader<'a>(&'a self, viewer: &Viewer, room: ShortRoomId) -> Result<Reader<'a>, RoomError> {
        Ok(Reader {
            rules: self.rules.of_user(viewer.user, &viewer.user_id)?,
            ignored: ignored_users(&self.storage, viewer.user, &viewer.user_id)?,
            facts: StoredFacts { counts: self, user: viewer.user, room },
        })
    }
}

/// Whose rules are asked.
pub(super) struct Reader<'a> {
    rules: Arc<Ruleset>,
    ignored: HashSet<OwnedUserId>,
    facts: StoredFacts<'a>,
}

/// A room as it is now.
struct StoredFacts<'a> {
    counts: &'a UnreadCounts,
    user: ShortUserId,
    room: ShortRoomId,
}

impl StoredFacts<'_> {
    fn state_event(&self, event_type: &str) -> Result<Option<StoredEvent>, RoomError> {
        let state = self.counts.index.current_state(self.room)?;
        self.event(self.counts.states.get(state, event_type, "")?)
    }

    fn event(&self, short: Option<ShortEventId>) -> Result<Option<StoredEvent>, RoomError> {
        short.map_or(Ok(None), |short| self.counts.events.get(short))
    }
}

impl RoomFacts for StoredFacts<'_> {
    type Error = RoomError;

    fn display_name(&self) -> Result<Option<String>, RoomError> {
        let state = self.counts.index.current_state(self.room)?;
        let member = self.counts.states.get_short(state, ShortStateKeyId::member(self.user))?;
        Ok(self.event(member)?.and_then(|member| member.event.content_field("displayname")))
    }

    fn member_count(&self) -> Result<u64, RoomError> {
        Ok(self.counts.index.member_counts(self.room)?.0)
    }

    fn is_subscribed(&self, root: &EventId) -> Result<bool, RoomError> {
        Ok(ThreadSubscriptions::is_subscribed(&self.counts.storage, self.user, root)?)
    }

    fn power_levels(&self) -> Result<Option<RoomPowerLevels>, RoomError> {
        let Some(create) = self.state_event("m.room.create")? else { return Ok(None) };
        let levels = self.state_event("m.room.power_levels")?;
        let rules = self.counts.index.rules(self.room)?;
        let levels = levels.as_ref().map(|levels| &*levels.event);
        Ok(Some(RoomPowerLevels::of_events(&create.event, levels, &rules.authorization)))
    }
}

fn summed(row: &UnreadRow) -> RoomUnread {
    let mut unread = RoomUnread::default();
    for event in &row.events {
        match event.thread {
            None => unread.main.add(event),
            Some(root) => unread.threads.entry(root).or_default().add(event),
        }
    }
    unread
}

#[cfg(test)]
#[path = "unread_tests.rs"]
mod tests;
