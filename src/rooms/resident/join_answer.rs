//! What a server whose user has just joined is given: the room's state before the join, whole or without most
//! members ([send_join], MSC3706).
//!
//! [send_join]: https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2send_joinroomideventid

use std::{collections::HashSet, sync::Arc};

use ruma::{EventId, OwnedServerName, RoomId};

use super::{Resident, ResidentError};
use crate::{
    matrix::event::Event,
    rooms::limits,
    state::tree::StateRoot,
    storage::{ShortEventId, ShortRoomId, ShortStateKeyId, ShortUserId, records::Membership},
};

/// The answer to a join.
#[derive(Debug)]
pub struct JoinAnswer {
    /// The join, as all servers get it.
    pub event: Arc<Event>,
    /// The state before it.
    pub state: Vec<ShortEventId>,
    /// The auth chains of the state and the join; without the state's own events, where members are left out.
    pub auth_chain: Vec<ShortEventId>,
    /// The servers that were in the room before, where members are left out.
    pub servers_in_room: Option<Vec<OwnedServerName>>,
}

impl Resident {
    /// The servers in a room, in the order in which this one heard of them.
    pub fn servers_in_room_with_id(&self, room_id: &RoomId) -> Result<Vec<OwnedServerName>, ResidentError> {
        let room = self.index.room(room_id)?.ok_or(ResidentError::UnknownRoom)?;
        let servers = self.servers.servers(room).take(limits::SERVERS_TOLD_MAX);
        Ok(servers.collect::<Result<_, _>>()?)
    }

    /// The answer to a join that has just been admitted. With `servers_before`, members are left out.
    pub fn join_answer(
        &self,
        event_id: &EventId,
        servers_before: Option<Vec<OwnedServerName>>,
    ) -> Result<JoinAnswer, ResidentError> {
        let stored = self.events.by_id(event_id)?.ok_or(ResidentError::UnknownEvent)?;
        let root = StateRoot::from_bytes(stored.meta.state_before);
        let mut state = self.states.without_members(root)?;
        if servers_before.is_none() {
            state.extend(self.states.members(root)?);
        } else if !self.is_named(root)? {
            state.extend(self.heroes(stored.meta.room, root, stored.meta.sender)?);
        }
        let state: Vec<_> = state.into_iter().map(|(_, event)| event).collect();
        let mut auth_chain = self.auth_chain(state.iter().copied().chain([stored.short]))?;
        if servers_before.is_some() {
            let told: HashSet<_> = state.iter().collect();
            auth_chain.retain(|event| !told.contains(event));
        }
        Ok(JoinAnswer { event: stored.event, state, auth_chain, servers_in_room: servers_before })
    }

    fn is_named(&self, root: StateRoot) -> Result<bool, ResidentError> {
        let has = |event_type| Ok::<_, ResidentError>(self.states.get(root, event_type, "")?.is_some());
        Ok(has("m.room.name")? || has("m.room.canonical_alias")?)
    }

    /// The member events of those after whom a room without a name is called, as they were in a state.
    fn heroes(
        &self,
        room: ShortRoomId,
        state: StateRoot,
        joiner: ShortUserId,
    ) -> Result<Vec<(ShortStateKeyId, ShortEventId)>, ResidentError> {
        let mut heroes = Vec::new();
        for membership in [Membership::Join, Membership::Invite] {
            for member in self.index.members(room, membership).take(limits::HEROES + 1) {
                let (user, _) = member?;
                let key = ShortStateKeyId::member(user);
                if user != joiner
                    && heroes.len() < limits::HEROES
                    && let Some(event) = self.states.get_short(state, key)?
                {
                    heroes.push((key, event));
                }
            }
        }
        Ok(heroes)
    }
}
