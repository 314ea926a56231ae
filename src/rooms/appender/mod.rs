//! The only way into a room's graph for events that this server makes.
//!
//! [`Appender::begin`] waits for the room's turn and reads its head; [`RoomBatch::push`] selects auth events,
//! checks the authorisation rules, builds and signs, each event against the state with those before it; and
//! [`RoomBatch::commit`] writes all of them, and everything that follows from them, in one transaction. A
//! batch that is dropped has changed nothing.
//!
//! Cost of an event: the rules' look-ups (at most eight point reads), one signature, the copied path of the
//! state tree for a state event, and a fixed number of rows; nothing that grows with the room.

mod batch;
mod commit;
mod draft;
mod join_listener;
mod membership_rows;
mod redaction;
mod room_rows;
mod stripped_state;
mod transaction_ids;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use quick_cache::sync::Cache;
use ruma::{OwnedServerName, RoomId, RoomVersionId, ServerName, UserId};

use self::{join_listener::JoinListeners, transaction_ids::TransactionIds};
use super::{
    EventStore, RoomError, RoomIndex, RoomStates, SigningKeys, StoredEvent, limits,
    resolution::{ResolvedRoom, StateResolver},
    writer::RoomWriters,
};
use crate::{
    matrix::{builder::EventReference, limits::PREV_EVENTS_MAX, power_levels::PowerLevels, room_versions},
    state::tree::StateRoot,
    storage::{ShortEventId, ShortRoomId, Storage},
    users::Clock,
};

pub use self::{
    batch::RoomBatch,
    commit::Appended,
    draft::{ClientTransaction, Draft},
};
pub(in crate::rooms) use self::{
    commit::record_of, membership_rows::MembershipChange, redaction::Redaction, room_rows::RoomRows,
};

/// Appends events to rooms. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Appender {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    server_name: OwnedServerName,
    storage: Storage,
    index: RoomIndex,
    events: EventStore,
    states: RoomStates,
    resolver: StateResolver,
    keys: SigningKeys,
    clock: Clock,
    writers: RoomWriters,
    transaction_ids: TransactionIds,
    power_levels: Cache<ShortEventId, Arc<PowerLevels>>,
    joined: JoinListeners,
}

impl Appender {
    /// An appender for the rooms of `storage`, as server `server_name`. There must be one only: it keeps the
    /// rooms' queues of writers.
    pub fn new(
        server_name: OwnedServerName,
        storage: Storage,
        index: RoomIndex,
        events: EventStore,
        states: RoomStates,
        keys: SigningKeys,
        clock: Clock,
    ) -> Self {
        let inner = Inner {
            resolver: StateResolver::new(storage.clone(), events.clone(), states.clone()),
            server_name,
            storage,
            index,
            events,
            states,
            keys,
            clock,
            writers: RoomWriters::default(),
            transaction_ids: TransactionIds::default(),
            power_levels: Cache::new(limits::POWER_LEVELS_CACHED_MAX),
            joined: JoinListeners::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Has `listener` told, on the writer's thread, when a user of this server has joined a room, be it one
    /// that they made. Listeners are told one after the other and must not wait long.
    pub fn on_join(&self, listener: impl Fn(&UserId, ShortRoomId) + Send + Sync + 'static) {
        self.inner.joined.add(listener);
    }

    /// Tells the listeners of a join that was made through another server.
    pub(in crate::rooms) fn tell_joined(&self, join: &Appended) {
        self.inner.tell_joins(std::slice::from_ref(join));
    }

    /// This server's name.
    pub fn server_name(&self) -> &ServerName {
        &self.inner.server_name
    }

    /// The key that this server's events are signed with.
    pub fn signing_key(&self) -> &crate::matrix::SigningKey {
        self.inner.keys.active()
    }

    /// The time, in milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        self.inner.clock.now_ms()
    }

    /// The store.
    pub fn storage(&self) -> &Storage {
        &self.inner.storage
    }

    /// Rooms' records and memberships.
    pub fn index(&self) -> &RoomIndex {
        &self.inner.index
    }

    /// Events by id.
    pub fn events(&self) -> &EventStore {
        &self.inner.events
    }

    /// Rooms' states.
    pub fn states(&self) -> &RoomStates {
        &self.inner.states
    }

    /// Resolves states of rooms.
    pub fn resolver(&self) -> &StateResolver {
        &self.inner.resolver
    }

    /// The rooms' queues of writers.
    pub(in crate::rooms) fn writers(&self) -> &RoomWriters {
        &self.inner.writers
    }

    /// Parsed power levels by their event.
    pub(in crate::rooms) fn power_levels(&self) -> &Cache<ShortEventId, Arc<PowerLevels>> {
        &self.inner.power_levels
    }

    /// Waits for the room's turn and starts a batch on its head. Nobody else writes the room until the batch
    /// is committed or dropped, so what is read meanwhile stays true. Holds the thread: hold one at a time.
    pub fn begin(&self, room_id: &RoomId) -> Result<RoomBatch, RoomError> {
        let not_found = || RoomError::RoomNotFound(room_id.to_owned());
        let room = self.inner.index.room(room_id)?.ok_or_else(not_found)?;
        let guard = self.inner.writers.enter(room);
        let record = self.inner.index.record(room)?.ok_or_else(not_found)?;
        let head = self.inner.index.head(room)?.ok_or_else(not_found)?;
        let rules = self.inner.index.rules(room)?;
        let damaged = |what| RoomError::DamagedRoom { room_id: room_id.to_owned(), what };
        let create = self.inner.events.get(record.create_event)?;
        let create = create.ok_or_else(|| damaged("its create event is missing"))?.event;
        if head.extremities.is_empty() {
            // Still being taken in from another server.
            return Err(not_found());
        }
        let mut ends = Vec::with_capacity(head.extremities.len());
        for short in &head.extremities {
            let stored = self.inner.events.get(*short)?;
            ends.push(stored.ok_or_else(|| damaged("an event at the end of its history is missing"))?);
        }
        // More ends than an event may name: the oldest are joined first.
        let others = ends.split_off(ends.len().min(PREV_EVENTS_MAX));
        let mut other_ends = Vec::with_capacity(others.len());
        for end in &others {
            other_ends.push((end.short, self.inner.states.after(end)?));
        }
        let base = if other_ends.is_empty() {
            StateRoot::from_bytes(head.state)
        } else {
            let states = ends.iter().map(|end| self.inner.states.after(end));
            let states = states.collect::<Result<Vec<_>, _>>()?;
            let room = ResolvedRoom { rules: &rules, create: record.create_event };
            self.inner.resolver.resolve(room, None, states)?
        };
        let reference = |end: &StoredEvent| {
            EventReference::of(&end.event, &rules).map_err(|source| RoomError::CorruptEvent {
                event_id: end.event.event_id().to_owned(),
                source,
            })
        };
        let prev_events = ends.iter().map(reference).collect::<Result<_, _>>()?;
        Ok(RoomBatch {
            appender: self.clone(),
            guard: Some(guard),
            version: record.version.clone(),
            rules,
            room_id: Some(room_id.to_owned()),
            create: Some(create),
            base,
            depth: head.depth,
            prev_events,
            other_ends,
            pending: Vec::new(),
            state: std::collections::HashMap::new(),
            earliest_ms: 0,
            dated_ms: None,
        })
    }

    /// Starts a room. Its id is `room_id`, or in room versions whose room id follows from the create event,
    /// that one's. `earliest_ms` is the least time that its events get.
    pub fn begin_new(
        &self,
        version: &RoomVersionId,
        room_id: Option<ruma::OwnedRoomId>,
        earliest_ms: u64,
    ) -> Result<RoomBatch, RoomError> {
        let rules =
            room_versions::rules(version).ok_or_else(|| RoomError::UnsupportedVersion(version.clone()))?;
        Ok(RoomBatch {
            appender: self.clone(),
            guard: None,
            version: version.clone(),
            room_id: room_id.filter(|_| rules.event_format.require_room_create_room_id),
            rules,
            create: None,
            base: StateRoot::EMPTY,
            depth: 0,
            prev_events: Vec::new(),
            other_ends: Vec::new(),
            pending: Vec::new(),
            state: std::collections::HashMap::new(),
            earliest_ms,
            dated_ms: None,
        })
    }
}
