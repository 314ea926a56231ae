//! Rooms' readers over one set of caches, which the services above share.

use crate::{
    rooms::{EventStore, Permissions, RoomIndex, RoomServers, RoomStates, ServerAcls, Timelines, Visibility},
    storage::{MemoryShares, Storage},
};

/// The readers.
pub(super) struct RoomReaders {
    pub index: RoomIndex,
    pub events: EventStore,
    pub states: RoomStates,
    pub visibility: Visibility,
    pub timelines: Timelines,
    pub servers: RoomServers,
    /// What sliding sync may remember.
    pub sliding_bytes: usize,
}

impl RoomReaders {
    pub fn new(storage: &Storage, shares: &MemoryShares) -> Self {
        let index = RoomIndex::new(storage.clone());
        let events = EventStore::new(storage.clone(), index.clone(), shares.events);
        let cache_bytes = usize::try_from(shares.state_nodes).unwrap_or(usize::MAX);
        let states = RoomStates::new(storage.clone(), cache_bytes);
        let visibility = Visibility::new(storage.clone(), index.clone(), events.clone(), states.clone());
        let timelines = Timelines::new(storage.clone(), events.clone(), states.clone());
        let servers = RoomServers::new(storage.clone());
        let sliding_bytes = usize::try_from(shares.sliding_sync).unwrap_or(usize::MAX);
        Self { index, events, states, visibility, timelines, servers, sliding_bytes }
    }

    pub fn permissions(&self) -> Permissions {
        Permissions::new(self.index.clone(), self.events.clone(), self.states.clone())
    }

    pub fn server_acls(&self) -> ServerAcls {
        ServerAcls::new(self.index.clone(), self.events.clone(), self.states.clone())
    }
}
