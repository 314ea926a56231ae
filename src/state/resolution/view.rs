//! What a resolution sees of a room.

use std::sync::Arc;

use crate::matrix::Event;
use crate::state::chain_cover::ChainSource;

/// A state event as a resolution reads it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RoomEvent {
    /// The event.
    pub event: Arc<Event>,
    /// Whether it was rejected (not: soft-failed) when it was received.
    pub rejected: bool,
    /// The short id of its type and state key, as in the state tree.
    pub state_key: u64,
    /// The short ids of its auth events, in their order. A store that keeps only their ids looks each up.
    pub auth_events: Arc<[u64]>,
}

/// A read-only view of one room: its events by short id, beside its chain-cover index.
///
/// What it answers must not change while a resolution runs: give it a snapshot.
pub trait RoomView: ChainSource {
    /// The state event with this short id; `None` if the store has none.
    fn event(&self, event: u64) -> Result<Option<RoomEvent>, Self::Error>;

    /// The short id of a type and state key; `None` if it has none, as then no state holds it.
    fn state_key_id(&self, event_type: &str, state_key: &str) -> Result<Option<u64>, Self::Error>;

    /// The short id of the room's create event.
    fn create_event(&self) -> Result<Option<u64>, Self::Error>;
}

impl<V: RoomView + ?Sized> RoomView for &V {
    fn event(&self, event: u64) -> Result<Option<RoomEvent>, Self::Error> {
        (**self).event(event)
    }

    fn state_key_id(&self, event_type: &str, state_key: &str) -> Result<Option<u64>, Self::Error> {
        (**self).state_key_id(event_type, state_key)
    }

    fn create_event(&self) -> Result<Option<u64>, Self::Error> {
        (**self).create_event()
    }
}
