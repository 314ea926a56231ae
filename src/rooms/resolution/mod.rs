//! State resolution and the chain-cover index over the store.
//!
//! For: [`StateResolver`], which brings the states of a fork to one by `state/resolution`; [`StoredChains`],
//! the rows of the index, and [`index_event`], which gives a state event its place in the batch that holds the
//! event. Never: decides who may send what, or which states there are to resolve. Main type:
//! [`StateResolver`].
//!
//! A resolution runs outside of any transaction, while its caller holds the room's turn, so that what it reads
//! doesn't change. The nodes of its outcome are stored at once: they are addressed by content, so they harm
//! nobody if the event that needed them is never written.

mod chains;
mod view;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use quick_cache::sync::Cache;
use ruma::{OwnedEventId, room_version_rules::RoomVersionRules};

pub use self::{
    chains::{StoredChains, index_event, is_citable},
    view::StoredView,
};
use super::{EventStore, RoomError, RoomStates, limits};
use crate::{
    matrix::event::Event,
    state::{resolution::resolve, tree::StateRoot},
    storage::{Read, ShortEventId, Storage, StorageError, Transaction, tables::SHORT_IDS},
};

/// Resolves the states of forks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StateResolver {
    storage: Storage,
    events: EventStore,
    states: RoomStates,
    /// The states that were resolved lately, sorted, and what they came to. Events on the same ends of a
    /// fork ask again and again.
    known: Arc<Cache<Arc<[StateRoot]>, StateRoot>>,
}

/// The room whose states are resolved.
#[derive(Debug, Clone, Copy)]
pub struct ResolvedRoom<'r> {
    /// The rules of its version.
    pub rules: &'r RoomVersionRules,
    /// Its create event.
    pub create: ShortEventId,
}

impl StateResolver {
    /// Over the rooms' events and states.
    pub fn new(storage: Storage, events: EventStore, states: RoomStates) -> Self {
        let known = Arc::new(Cache::new(limits::RESOLUTIONS_CACHED_MAX));
        Self { storage, events, states, known }
    }

    /// The state that `roots` come to. Its nodes are in the store when this returns. Every state event in
    /// them must be in the store, all but `new`, and in the chain-cover index.
    pub fn resolve(
        &self,
        room: ResolvedRoom<'_>,
        new: Option<(ShortEventId, Arc<Event>)>,
        roots: impl IntoIterator<Item = StateRoot>,
    ) -> Result<StateRoot, RoomError> {
        let Some(roots) = different(roots) else { return Ok(StateRoot::EMPTY) };
        if let [only] = &*roots {
            return Ok(*only);
        }
        if let Some(root) = self.known.get(&roots) {
            return Ok(root);
        }
        let view = StoredView::new(&self.storage, &self.events, room.create).with(new);
        let update = resolve(&self.states.tree(&self.storage), &view, room.rules, &roots)?;
        self.states.store(&update)?;
        self.known.insert(roots, update.root);
        Ok(update.root)
    }

    /// As [`resolve`](Self::resolve), within a transaction that has written the events `new`. For the rare case
    /// in which an event's short id is known only there: other writers wait meanwhile.
    pub fn resolve_within(
        &self,
        rows: &mut Transaction<'_>,
        room: ResolvedRoom<'_>,
        new: impl IntoIterator<Item = (ShortEventId, Arc<Event>)>,
        roots: impl IntoIterator<Item = StateRoot>,
    ) -> Result<StateRoot, RoomError> {
        let Some(roots) = different(roots) else { return Ok(StateRoot::EMPTY) };
        if let [only] = &*roots {
            return Ok(*only);
        }
        let view = StoredView::new(&*rows, &self.events, room.create).with(new);
        let update = resolve(&self.states.tree(&*rows), &view, room.rules, &roots)?;
        RoomStates::put_nodes(rows, &update);
        Ok(update.root)
    }
}

/// The roots in order, each once; `None` if there are none.
fn different(roots: impl IntoIterator<Item = StateRoot>) -> Option<Arc<[StateRoot]>> {
    let mut roots: Vec<StateRoot> = roots.into_iter().collect();
    roots.sort_unstable();
    roots.dedup();
    (!roots.is_empty()).then(|| roots.into())
}

/// Short ids of events by their ids; an error for one that has none.
fn short_ids(reader: &impl Read, events: &[OwnedEventId]) -> Result<Vec<u64>, StorageError> {
    let short = |event: &OwnedEventId| match reader.short_event_id(event)? {
        Some(short) => Ok(short.0),
        None => Err(StorageError::Missing { table: SHORT_IDS.info.name, key: event.to_string() }),
    };
    events.iter().map(short).collect()
}
