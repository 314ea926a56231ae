//! `ruma-state-res` over the same room. Auth chains and the conflicted subgraph are walked event by event.

#![allow(dead_code, reason = "the bench takes this file in as well and uses another part of it")]

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use ruma::{
    EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, RoomId, UInt, UserId,
    events::{StateEventType, TimelineEventType},
};
use ruma_state_res::{StateMap, utils::event_id_set::EventIdSet};
use serde_json::value::RawValue;

use super::world::{Entries, World};

/// An event as the oracle wants it.
pub struct OracleEvent {
    event: Arc<conduit::matrix::Event>,
    event_id: OwnedEventId,
    event_type: TimelineEventType,
    content: Box<RawValue>,
    rejected: bool,
    has_room_id: bool,
}

impl OracleEvent {
    fn new(world: &World, id: u64) -> Self {
        let stored = world.get(id);
        let event = Arc::clone(&stored.event);
        let is_create = event.event_type() == "m.room.create";
        Self {
            event_id: event.event_id().to_owned(),
            event_type: event.timeline_event_type(),
            content: RawValue::from_string(event.content_json().to_owned()).expect("content is JSON"),
            rejected: stored.rejected,
            has_room_id: !is_create || world.rules.event_format.require_room_create_room_id,
            event,
        }
    }
}

impl ruma_state_res::Event for OracleEvent {
    type Id = OwnedEventId;

    fn event_id(&self) -> &OwnedEventId {
        &self.event_id
    }

    fn room_id(&self) -> Option<&RoomId> {
        self.has_room_id.then(|| self.event.room_id())
    }

    fn sender(&self) -> &UserId {
        self.event.sender()
    }

    fn origin_server_ts(&self) -> MilliSecondsSinceUnixEpoch {
        MilliSecondsSinceUnixEpoch(UInt::try_from(self.event.origin_server_ts()).expect("a small number"))
    }

    fn event_type(&self) -> &TimelineEventType {
        &self.event_type
    }

    fn content(&self) -> &RawValue {
        &self.content
    }

    fn state_key(&self) -> Option<&str> {
        self.event.state_key()
    }

    fn prev_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        Box::new(self.event.prev_events().iter())
    }

    fn auth_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        Box::new(self.event.auth_events().iter())
    }

    fn redacts(&self) -> Option<&OwnedEventId> {
        None
    }

    fn rejected(&self) -> bool {
        self.rejected
    }
}

/// The room's events as the oracle reads them. Filled as the room grows.
#[derive(Default)]
pub struct Oracle {
    events: HashMap<OwnedEventId, Arc<OracleEvent>>,
}

impl Oracle {
    /// Takes in the events that are new.
    pub fn follow(&mut self, world: &World) {
        for id in self.events.len()..world.events.len() {
            let event = OracleEvent::new(world, id as u64 + 1);
            self.events.insert(event.event_id.clone(), Arc::new(event));
        }
    }

    pub fn get(&self, event_id: &EventId) -> Option<Arc<OracleEvent>> {
        self.events.get(event_id).cloned()
    }

    /// The state as the oracle holds it.
    pub fn state_map(world: &World, state: &Entries) -> StateMap<OwnedEventId> {
        let entry = |id: &u64| {
            let event = world.event(*id);
            let key = event.state_key().expect("a state event").to_owned();
            ((StateEventType::from(event.event_type()), key), event.event_id().to_owned())
        };
        state.values().map(entry).collect()
    }

    /// The union of the auth chains of the events of a state, with these events: as deployed servers read it.
    pub fn auth_chain(world: &World, state: &Entries) -> EventIdSet<OwnedEventId> {
        let mut events = auth_chain(world, state.values().copied());
        events.extend(state.values());
        events.into_iter().map(|id| world.event(id).event_id().to_owned()).collect()
    }

    /// The resolved state.
    pub fn resolve(&self, world: &World, states: &[Entries]) -> Result<Entries, String> {
        let maps: Vec<_> = states.iter().map(|state| Self::state_map(world, state)).collect();
        let chains = states.iter().map(|state| Self::auth_chain(world, state)).collect();
        let resolved = self.resolve_maps(world, &maps, chains)?;
        let ids = resolved.into_values().map(|event_id| world.id_of(event_id.as_str()));
        Ok(ids.map(|id| (world.get(id).state_key, id)).collect())
    }

    pub fn resolve_maps(
        &self,
        world: &World,
        maps: &[StateMap<OwnedEventId>],
        chains: Vec<EventIdSet<OwnedEventId>>,
    ) -> Result<StateMap<OwnedEventId>, String> {
        ruma_state_res::resolve(
            &world.rules.authorization,
            world.rules.state_res.v2_rules().expect("not version 1"),
            maps,
            chains,
            |event_id| self.get(event_id),
            |conflicted| Some(conflicted_subgraph(world, conflicted)),
        )
        .map_err(|error| error.to_string())
    }
}

/// The events that `events` reach by auth edges, without those that none of them reaches.
fn auth_chain(world: &World, events: impl Iterator<Item = u64>) -> HashSet<u64> {
    let mut chain = HashSet::new();
    let mut open: Vec<u64> = events.flat_map(|id| world.get(id).auth_events.to_vec()).collect();
    while let Some(id) = open.pop() {
        if chain.insert(id) {
            open.extend(world.get(id).auth_events.iter());
        }
    }
    chain
}

/// The conflicted state subgraph: what one conflicted event reaches and what reaches another one.
fn conflicted_subgraph(world: &World, conflicted: &StateMap<Vec<OwnedEventId>>) -> EventIdSet<OwnedEventId> {
    let conflicted: BTreeSet<u64> =
        conflicted.values().flatten().map(|event_id| world.id_of(event_id.as_str())).collect();
    let mut below = auth_chain(world, conflicted.iter().copied());
    below.extend(&conflicted);
    let is_above = |id: &u64| {
        conflicted.contains(id)
            || auth_chain(world, std::iter::once(*id)).iter().any(|reached| conflicted.contains(reached))
    };
    let inside = below.into_iter().filter(is_above);
    inside.map(|id| world.event(id).event_id().to_owned()).collect()
}
