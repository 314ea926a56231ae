//! Events by id, parsed once and kept while there is room.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use quick_cache::{Weighter, sync::Cache};
use ruma::EventId;

use super::{RoomError, RoomIndex, limits};
use crate::{
    matrix::event::Event,
    storage::{
        Read, ShortEventId, Storage, StorageError,
        records::EventMeta,
        tables::{EVENT_JSON, EVENT_META},
    },
};

/// An event with what this server knows of it.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    /// The short id.
    pub short: ShortEventId,
    /// Room, place, state before it, outcome of the checks.
    pub meta: EventMeta,
    /// The event, redacted if it has been.
    pub event: Arc<Event>,
}

/// Reads events. Cheap to clone.
#[derive(Clone)]
pub struct EventStore {
    storage: Storage,
    index: RoomIndex,
    cache: Arc<EventCache>,
}

struct EventCache {
    events: Cache<ShortEventId, Arc<Event>, EventWeight>,
    /// Counts replaced events, so that a reader that raced a redaction doesn't leave the old text behind.
    replaced: AtomicU64,
}

#[derive(Clone)]
struct EventWeight;

impl Weighter<ShortEventId, Arc<Event>> for EventWeight {
    fn weight(&self, _short: &ShortEventId, event: &Arc<Event>) -> u64 {
        event.json().len() as u64 + limits::EVENT_CACHE_ENTRY_BYTES
    }
}

impl std::fmt::Debug for EventStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventStore").finish_non_exhaustive()
    }
}

impl EventStore {
    /// Events of `storage`, with a cache of at most `cache_bytes`.
    pub fn new(storage: Storage, index: RoomIndex, cache_bytes: u64) -> Self {
        let entries = usize::try_from(cache_bytes / 2_048).unwrap_or(usize::MAX).max(16);
        let events = Cache::with_weighter(entries, cache_bytes, EventWeight);
        Self { storage, index, cache: Arc::new(EventCache { events, replaced: AtomicU64::new(0) }) }
    }

    /// The event behind a short id; `None` when only a reference to it is known.
    pub fn get(&self, short: ShortEventId) -> Result<Option<StoredEvent>, RoomError> {
        let Some(meta) = self.meta(short)? else { return Ok(None) };
        Ok(self.event(short, &meta)?.map(|event| StoredEvent { short, meta, event }))
    }

    /// The event with this id, if this server has it.
    pub fn by_id(&self, event_id: &EventId) -> Result<Option<StoredEvent>, RoomError> {
        match self.storage.short_event_id(event_id)? {
            Some(short) => self.get(short),
            None => Ok(None),
        }
    }

    /// What is known of an event beside its JSON.
    pub fn meta(&self, short: ShortEventId) -> Result<Option<EventMeta>, StorageError> {
        self.storage.get(&EVENT_META, &short)
    }

    /// The event itself, for a caller that has its meta row.
    pub fn event(&self, short: ShortEventId, meta: &EventMeta) -> Result<Option<Arc<Event>>, RoomError> {
        if let Some(event) = self.cache.events.get(&short) {
            return Ok(Some(event));
        }
        let replaced = self.cache.replaced.load(Ordering::Acquire);
        let Some(json) = self.storage.get(&EVENT_JSON, &short)? else { return Ok(None) };
        let rules = self.index.rules(meta.room)?;
        let event_id = self.storage.event_id(short)?;
        let event = std::str::from_utf8(&json)
            .map_err(|_| crate::matrix::event::EventFormatError::Missing("UTF-8 text"))
            .and_then(|json| Event::from_stored(event_id.clone(), json, &rules))
            .map_err(|source| RoomError::CorruptEvent { event_id, source })?;
        let event = Arc::new(event);
        self.cache.events.insert(short, event.clone());
        if self.cache.replaced.load(Ordering::Acquire) != replaced {
            self.cache.events.remove(&short);
        }
        Ok(Some(event))
    }

    /// Remembers an event that has just been applied, so that its first reader need not parse it.
    pub fn applied(&self, short: ShortEventId, event: Arc<Event>) {
        self.cache.events.insert(short, event);
    }

    /// Forgets all that is cached, as events are no more. Call after the write.
    pub(in crate::rooms) fn forget_all(&self) {
        self.cache.replaced.fetch_add(1, Ordering::AcqRel);
        self.cache.events.clear();
    }

    /// Forgets the cached form of an event whose JSON has just been replaced (redaction). Call after the
    /// write has been applied.
    pub fn replaced(&self, short: ShortEventId) {
        self.cache.replaced.fetch_add(1, Ordering::AcqRel);
        self.cache.events.remove(&short);
    }
}
