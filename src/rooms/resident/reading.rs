//! States and auth chains for other servers, as short ids: the events are read when they are sent.

use ruma::{EventId, RoomId, ServerName};

use super::{Resident, ResidentError};
use crate::{
    state::tree::StateRoot,
    storage::{Read, ShortEventId},
};

/// A state with the events that allow it.
#[derive(Debug, Clone, Default)]
pub struct StateAt {
    /// The state's entries.
    pub state: Vec<ShortEventId>,
    /// Their auth chains.
    pub auth_chain: Vec<ShortEventId>,
}

impl Resident {
    /// The state before an event, for a server that is in the room. Walks the whole state and its auth chain.
    pub fn state_before(
        &self,
        server: &ServerName,
        room_id: &RoomId,
        event_id: &EventId,
    ) -> Result<StateAt, ResidentError> {
        let view = self.member(server, room_id)?;
        let stored = self.events.by_id(event_id)?.ok_or(ResidentError::UnknownEvent)?;
        let stored = view.in_graph(stored.short)?.ok_or(ResidentError::UnknownEvent)?;
        self.state_of(StateRoot::from_bytes(stored.meta.state_before))
    }

    /// All entries of a state with their auth chains.
    pub(super) fn state_of(&self, root: StateRoot) -> Result<StateAt, ResidentError> {
        let mut state: Vec<_> =
            self.states.without_members(root)?.into_iter().map(|(_, event)| event).collect();
        state.extend(self.states.members(root)?.into_iter().map(|(_, event)| event));
        let auth_chain = self.auth_chain(state.iter().copied())?;
        Ok(StateAt { state, auth_chain })
    }

    /// The auth chain of an event, for a server that is in the room.
    pub fn event_auth(
        &self,
        server: &ServerName,
        room_id: &RoomId,
        event_id: &EventId,
    ) -> Result<Vec<ShortEventId>, ResidentError> {
        let view = self.member(server, room_id)?;
        let stored = self.events.by_id(event_id)?.ok_or(ResidentError::UnknownEvent)?;
        if stored.meta.room != view.room() {
            return Err(ResidentError::UnknownEvent);
        }
        self.auth_chain([stored.short])
    }

    /// The ids of events.
    pub fn event_ids(&self, events: &[ShortEventId]) -> Result<Vec<ruma::OwnedEventId>, ResidentError> {
        events.iter().map(|event| Ok(self.storage.event_id(*event)?)).collect()
    }

    /// The text of an event as other servers get it; `None` when this server has only heard of it.
    pub fn pdu_json(&self, event: ShortEventId) -> Result<Option<Vec<u8>>, ResidentError> {
        Ok(self.storage.get(&crate::storage::tables::EVENT_JSON, &event)?)
    }
}
