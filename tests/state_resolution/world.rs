//! A room in memory, as the server would hold it: events by short id, the chain-cover index, tree nodes.

#![allow(dead_code, reason = "the bench takes this file in as well and uses another part of it")]

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    sync::Arc,
};

use conduit::{
    matrix::{AuthState, Event, auth_rules, room_versions},
    state::{
        chain_cover::{self, ChainEntry, ChainPosition, ChainSource, MemoryChains, NewEvent},
        resolution::{self, RoomEvent, RoomView},
        tree::{Change, MemoryNodes, StateRoot, StateTree},
    },
};
use ruma::{OwnedEventId, RoomVersionId, room_version_rules::RoomVersionRules};
use serde_json::{Value, json};

/// A state as a list: key to event, both short ids.
pub type Entries = BTreeMap<u64, u64>;

/// An event before it has references.
#[derive(Debug, Clone)]
pub struct Draft {
    pub event_id: String,
    pub sender: String,
    pub event_type: String,
    pub state_key: String,
    pub content: Value,
    pub origin_server_ts: u64,
    pub depth: u64,
    pub prev_events: Vec<u64>,
}

pub struct World {
    pub rules: RoomVersionRules,
    pub room_id: String,
    /// By short id, from 1.
    pub events: Vec<RoomEvent>,
    ids: HashMap<OwnedEventId, u64>,
    keys: HashMap<(String, String), u64>,
    pub chains: MemoryChains,
    pub nodes: MemoryNodes,
}

impl World {
    pub fn new(version: &RoomVersionId) -> Self {
        Self {
            rules: room_versions::rules(version).expect("a supported version"),
            room_id: "!room:one.example".to_owned(),
            events: Vec::new(),
            ids: HashMap::new(),
            keys: HashMap::new(),
            chains: MemoryChains::new(),
            nodes: MemoryNodes::new(),
        }
    }

    pub fn get(&self, id: u64) -> &RoomEvent {
        &self.events[usize::try_from(id).unwrap() - 1]
    }

    pub fn event(&self, id: u64) -> &Event {
        &self.get(id).event
    }

    pub fn id_of(&self, event_id: &str) -> u64 {
        self.ids[&OwnedEventId::try_from(event_id).expect("an event id")]
    }

    pub fn key(&mut self, event_type: &str, state_key: &str) -> u64 {
        let next = self.keys.len() as u64 + 1;
        let member = if event_type == "m.room.member" { 1 << 63 } else { 0 };
        *self.keys.entry((event_type.to_owned(), state_key.to_owned())).or_insert(next | member)
    }

    pub fn known_key(&self, event_type: &str, state_key: &str) -> Option<u64> {
        self.keys.get(&(event_type.to_owned(), state_key.to_owned())).copied()
    }

    /// The auth events that the specification selects for a draft from a state.
    pub fn select_auth_events(&self, draft: &Draft, state: &Entries) -> Vec<u64> {
        let sender = draft.sender.as_str().try_into().expect("a user id");
        let content = draft.content.to_string();
        auth_rules::auth_types(&draft.event_type, sender, Some(&draft.state_key), &content, &self.rules)
            .into_iter()
            .filter_map(|(event_type, state_key)| self.known_key(event_type, &state_key))
            .filter_map(|key| state.get(&key).copied())
            .collect()
    }

    /// The event of a draft.
    pub fn build(&self, draft: &Draft, auth_events: &[u64]) -> Arc<Event> {
        let with_hashes = self.rules.event_format.require_event_id;
        let references = |ids: &[u64]| -> Vec<Value> {
            let ids = ids.iter().map(|id| self.event(*id).event_id().as_str());
            ids.map(|id| if with_hashes { json!([id, {"sha256": ""}]) } else { json!(id) }).collect()
        };
        let mut pdu = json!({
            "type": draft.event_type,
            "sender": draft.sender,
            "state_key": draft.state_key,
            "content": draft.content,
            "origin_server_ts": draft.origin_server_ts,
            "depth": draft.depth,
            "prev_events": references(&draft.prev_events),
            "auth_events": references(auth_events),
            "hashes": {"sha256": ""},
            "signatures": {},
        });
        if draft.event_type != "m.room.create" || self.rules.event_format.require_room_create_room_id {
            pdu["room_id"] = json!(self.room_id);
        }
        let event_id = OwnedEventId::try_from(draft.event_id.clone()).expect("an event id");
        Arc::new(Event::from_stored(event_id, &pdu.to_string(), &self.rules).expect("a well-formed event"))
    }

    /// Takes an event in and gives it a place in the chain-cover index.
    pub fn insert(&mut self, event: Arc<Event>, auth_events: &[u64], rejected: bool) -> u64 {
        let id = self.events.len() as u64 + 1;
        if event.event_type() == "m.room.create" {
            event.room_id().as_str().clone_into(&mut self.room_id);
        }
        let state_key = self.key(event.event_type(), event.state_key().expect("a state event"));
        let citable = matches!(
            event.event_type(),
            "m.room.create" | "m.room.power_levels" | "m.room.join_rules" | "m.room.member"
        );
        let new = NewEvent { event: id, state_key, citable, auth_events };
        let appended = chain_cover::append(&self.chains, new).expect("auth events come first");
        self.chains.insert(&appended);
        self.ids.insert(event.event_id().to_owned(), id);
        self.events.push(RoomEvent { event, rejected, state_key, auth_events: auth_events.into() });
        id
    }

    /// The root of a state.
    pub fn root_of(&mut self, state: &Entries) -> StateRoot {
        let changes: Vec<Change> = state.iter().map(|(key, event)| (*key, Some(*event))).collect();
        self.update(StateRoot::EMPTY, &changes)
    }

    pub fn update(&mut self, root: StateRoot, changes: &[Change]) -> StateRoot {
        let update = StateTree::new(&self.nodes).update(root, changes).expect("memory is readable");
        self.nodes.extend(&update.nodes);
        update.root
    }

    pub fn entries_of(&self, root: StateRoot) -> Entries {
        StateTree::new(&self.nodes).range(root, ..).map(|entry| entry.expect("memory is readable")).collect()
    }

    /// The resolution under test; keeps its nodes.
    pub fn resolve(&mut self, roots: &[StateRoot]) -> StateRoot {
        let tree = StateTree::new(&self.nodes);
        let update = resolution::resolve(&tree, self, &self.rules, roots).expect("the room is complete");
        self.nodes.extend(&update.nodes);
        update.root
    }

    /// Whether the rules allow an event in a state.
    pub fn allows(&self, event: &Event, state: &Entries) -> bool {
        auth_rules::check_state_dependent(event, &self.rules, &Listed { world: self, state }).is_ok()
    }
}

struct Listed<'a> {
    world: &'a World,
    state: &'a Entries,
}

impl AuthState for Listed<'_> {
    type Error = Infallible;

    fn state_event(&self, event_type: &str, state_key: &str) -> Result<Option<Arc<Event>>, Infallible> {
        let key = self.world.known_key(event_type, state_key);
        let id = key.and_then(|key| self.state.get(&key));
        Ok(id.map(|id| Arc::clone(&self.world.get(*id).event)))
    }
}

impl RoomView for World {
    fn event(&self, event: u64) -> Result<Option<RoomEvent>, Infallible> {
        let at = usize::try_from(event).unwrap().checked_sub(1);
        Ok(at.and_then(|at| self.events.get(at)).cloned())
    }

    fn state_key_id(&self, event_type: &str, state_key: &str) -> Result<Option<u64>, Infallible> {
        Ok(self.known_key(event_type, state_key))
    }

    fn create_event(&self) -> Result<Option<u64>, Infallible> {
        Ok(Some(1))
    }
}

impl ChainSource for World {
    type Error = Infallible;

    fn position(&self, event: u64) -> Result<Option<ChainPosition>, Infallible> {
        self.chains.position(event)
    }

    fn entry(&self, position: ChainPosition) -> Result<Option<ChainEntry>, Infallible> {
        self.chains.entry(position)
    }

    fn entries_back(&self, position: ChainPosition, limit: usize) -> Result<Vec<ChainEntry>, Infallible> {
        self.chains.entries_back(position, limit)
    }

    fn last_sequence(&self, chain: u64) -> Result<u64, Infallible> {
        self.chains.last_sequence(chain)
    }

    fn backlinks(&self, target: ChainPosition, limit: usize) -> Result<Vec<ChainPosition>, Infallible> {
        self.chains.backlinks(target, limit)
    }
}
