//! A room as a resolution reads it.

use std::{collections::HashMap, sync::Arc};

use super::{StoredChains, short_ids};
use crate::{
    matrix::event::Event,
    rooms::{EventStore, RoomError},
    state::{
        chain_cover::{ChainEntry, ChainPosition, ChainSource},
        resolution::{RoomEvent, RoomView},
    },
    storage::{CodecError, Read, ShortEventId, StorageError, tables::EVENT_JSON},
};

/// One room over the store, or over a transaction that adds to it.
#[derive(Debug)]
pub struct StoredView<'r, R> {
    reader: &'r R,
    events: &'r EventStore,
    create: ShortEventId,
    /// Events that are not in the store yet, by short id.
    new: HashMap<u64, Arc<Event>>,
}

impl<'r, R: Read> StoredView<'r, R> {
    /// The room that `create` made.
    pub fn new(reader: &'r R, events: &'r EventStore, create: ShortEventId) -> Self {
        Self { reader, events, create, new: HashMap::new() }
    }

    /// The same with accepted events that are not to be read from the store yet.
    #[must_use]
    pub fn with(mut self, new: impl IntoIterator<Item = (ShortEventId, Arc<Event>)>) -> Self {
        self.new.extend(new.into_iter().map(|(short, event)| (short.0, event)));
        self
    }

    fn chains(&self) -> StoredChains<'r, R> {
        StoredChains(self.reader)
    }

    fn room_event(&self, event: Arc<Event>, rejected: bool) -> Result<Option<RoomEvent>, StorageError> {
        let Some(state_key) = event.state_key() else { return Ok(None) };
        let Some(key) = self.reader.short_state_key_id(event.event_type(), state_key)? else {
            return Ok(None);
        };
        let auth_events = short_ids(self.reader, event.auth_events())?;
        Ok(Some(RoomEvent { state_key: key.0, rejected, auth_events: auth_events.into(), event }))
    }
}

impl<R: Read> RoomView for StoredView<'_, R> {
    fn event(&self, event: u64) -> Result<Option<RoomEvent>, StorageError> {
        if let Some(new) = self.new.get(&event) {
            return self.room_event(new.clone(), false);
        }
        let stored = self.events.get(ShortEventId(event)).map_err(|error| match error {
            RoomError::Storage(error) => error,
            other => StorageError::Corrupt {
                table: EVENT_JSON.info.name,
                source: CodecError::invalid("event", other),
            },
        })?;
        match stored {
            Some(stored) => self.room_event(stored.event, stored.meta.status.is_rejected()),
            None => Ok(None),
        }
    }

    fn state_key_id(&self, event_type: &str, state_key: &str) -> Result<Option<u64>, StorageError> {
        Ok(self.reader.short_state_key_id(event_type, state_key)?.map(|key| key.0))
    }

    fn create_event(&self) -> Result<Option<u64>, StorageError> {
        Ok(Some(self.create.0))
    }
}

impl<R: Read> ChainSource for StoredView<'_, R> {
    type Error = StorageError;

    fn position(&self, event: u64) -> Result<Option<ChainPosition>, StorageError> {
        self.chains().position(event)
    }

    fn entry(&self, position: ChainPosition) -> Result<Option<ChainEntry>, StorageError> {
        self.chains().entry(position)
    }

    fn entries_back(&self, position: ChainPosition, limit: usize) -> Result<Vec<ChainEntry>, StorageError> {
        self.chains().entries_back(position, limit)
    }

    fn last_sequence(&self, chain: u64) -> Result<u64, StorageError> {
        self.chains().last_sequence(chain)
    }

    fn backlinks(&self, target: ChainPosition, limit: usize) -> Result<Vec<ChainPosition>, StorageError> {
        self.chains().backlinks(target, limit)
    }
}
