//! Several servers in memory that send each other events by hand.

use std::{collections::BTreeMap, sync::Arc};

use ruma::{EventId, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, RoomVersionId, UserId};
use serde_json::{Value, json};

use super::{ReceivedEvents, Reception};
use crate::{
    matrix::{EventDraft, EventReference, auth_rules::auth_types, canonical_json, event::Event},
    rooms::{
        StoredEvent,
        creation::{NewRoom, Preset},
        testing::RoomsFixture,
    },
    state::tree::StateRoot,
    storage::{Read, ShortEventId, Storage, records::EventStatus},
};

/// One server.
pub(crate) struct Server {
    pub(crate) rooms: RoomsFixture,
    pub(crate) received: ReceivedEvents,
    pub(crate) name: String,
}

/// A state as a list.
pub(crate) type Entries = BTreeMap<(String, String), OwnedEventId>;

impl Server {
    pub(crate) fn new(name: &str) -> Self {
        let rooms = RoomsFixture::named(name, Storage::in_memory().unwrap());
        let received = ReceivedEvents::new(rooms.appender.clone());
        Self { rooms, received, name: name.to_owned() }
    }

    pub(crate) fn user(&self, localpart: &str) -> OwnedUserId {
        OwnedUserId::try_from(format!("@{localpart}:{}", self.name)).unwrap()
    }

    /// A room that anyone may join.
    pub(crate) fn public_room(&self, creator: &UserId, version: &RoomVersionId) -> OwnedRoomId {
        let new = NewRoom {
            preset: Some(Preset::PublicChat),
            version: Some(version.clone()),
            ..NewRoom::by(creator.to_owned())
        };
        self.rooms.create(new)
    }

    pub(crate) fn stored(&self, event_id: &EventId) -> Option<StoredEvent> {
        self.rooms.events.by_id(event_id).unwrap()
    }

    pub(crate) fn event(&self, event_id: &EventId) -> Arc<Event> {
        self.stored(event_id).unwrap().event
    }

    pub(crate) fn status(&self, event_id: &EventId) -> EventStatus {
        self.stored(event_id).unwrap().meta.status
    }

    pub(crate) fn receive(&self, event: &Event) -> Reception {
        self.received.receive(event.clone()).unwrap()
    }

    /// Receives an event that must be accepted.
    pub(crate) fn accept(&self, event: &Event) {
        let reception = self.receive(event);
        assert!(matches!(reception, Reception::Accepted(_)), "{reception:?}");
    }

    pub(crate) fn head(&self, room: &RoomId) -> crate::storage::records::RoomHead {
        self.rooms.index.head(self.rooms.short(room)).unwrap().unwrap()
    }

    pub(crate) fn ends(&self, room: &RoomId) -> Vec<OwnedEventId> {
        let ends =
            self.head(room).extremities.into_iter().map(|end| self.rooms.storage.event_id(end).unwrap());
        let mut ends: Vec<_> = ends.collect();
        ends.sort();
        ends
    }

    pub(crate) fn entries(&self, root: StateRoot) -> Entries {
        let states = &self.rooms.states;
        let mut all = states.without_members(root).unwrap();
        all.extend(states.members(root).unwrap());
        let storage = &self.rooms.storage;
        all.into_iter()
            .map(|(key, event)| (storage.state_key(key).unwrap(), storage.event_id(event).unwrap()))
            .collect()
    }

    pub(crate) fn state(&self, room: &RoomId) -> Entries {
        self.entries(StateRoot::from_bytes(self.head(room).state))
    }

    pub(crate) fn state_before(&self, event_id: &EventId) -> Entries {
        self.entries(StateRoot::from_bytes(self.stored(event_id).unwrap().meta.state_before))
    }

    /// An event of one of this server's users as it would make one that knows of the room only `prev_events`,
    /// and the state before it.
    pub(crate) fn build(
        &self,
        on: &Self,
        prev_events: &[&Event],
        state: &Entries,
        (sender, event_type, state_key): (&UserId, &str, Option<&str>),
        content: &Value,
    ) -> Event {
        let first = on.event(prev_events[0].event_id());
        let room = on.rooms.short(first.room_id());
        let rules = on.rooms.index.rules(room).unwrap();
        let content = canonical_json::to_object(content).unwrap();
        let text = canonical_json::to_string(&content).unwrap();
        let reference = |event: &Event| EventReference::of(event, &rules).unwrap();
        let auth_events = auth_types(event_type, sender, state_key, &text, &rules)
            .into_iter()
            .filter_map(|(kind, key)| state.get(&(kind.to_owned(), key)))
            .map(|id| reference(&on.event(id)))
            .collect();
        let draft = EventDraft {
            sticky_ms: None,
            room_id: Some(first.room_id().to_owned()),
            sender: sender.to_owned(),
            event_type: event_type.to_owned(),
            state_key: state_key.map(ToOwned::to_owned),
            content,
            redacts: None,
            origin_server_ts: self.rooms.appender.now_ms(),
            prev_events: prev_events.iter().map(|event| reference(event)).collect(),
            auth_events,
            depth: prev_events.iter().map(|event| event.depth()).max().unwrap_or(0) + 1,
        };
        let keys = crate::rooms::SigningKeys::load_or_generate(&self.rooms.storage).unwrap();
        draft.build(&rules, self.rooms.appender.server_name(), keys.active()).unwrap()
    }

    /// As [`build`](Self::build), for an event on top of all that `on` has.
    pub(crate) fn build_on(
        &self,
        on: &Self,
        room: &RoomId,
        event: (&UserId, &str, Option<&str>),
        content: &Value,
    ) -> Event {
        let ends: Vec<_> = on.ends(room).iter().map(|id| on.event(id)).collect();
        let ends: Vec<&Event> = ends.iter().map(AsRef::as_ref).collect();
        self.build(on, &ends, &on.state(room), event, content)
    }

    /// The events of a state with their auth chains, as `send_join` answers them.
    pub(crate) fn state_and_auth_chain(&self, state: &Entries) -> (Vec<Event>, Vec<Event>) {
        let state: Vec<Event> = state.values().map(|id| (*self.event(id)).clone()).collect();
        let mut chain: BTreeMap<OwnedEventId, Event> = BTreeMap::new();
        let mut open: Vec<OwnedEventId> =
            state.iter().flat_map(|event| event.auth_events().to_vec()).collect();
        while let Some(id) = open.pop() {
            let event = self.event(&id);
            if chain.insert(id, (*event).clone()).is_none() {
                open.extend_from_slice(event.auth_events());
            }
        }
        (state, chain.into_values().collect())
    }

    /// A user of this server joins a room through another one that is in it.
    pub(crate) fn join_through(&self, other: &Self, room: &RoomId, user: &UserId) -> Event {
        self.rooms.clock.advance_ms(1);
        let membership = json!({"membership": "join"});
        let join = self.build_on(other, room, (user, "m.room.member", Some(user.as_str())), &membership);
        let state = other.state(room);
        other.accept(&join);
        let (state, chain) = other.state_and_auth_chain(&state);
        let version = other.rooms.index.record(other.rooms.short(room)).unwrap().unwrap().version.clone();
        self.received.import_room(&version, state, chain, join.clone()).unwrap();
        join
    }

    pub(crate) fn timeline_types(&self, room: &RoomId) -> Vec<String> {
        self.rooms.timeline(room).iter().map(|event| event.event_type().to_owned()).collect()
    }

    pub(crate) fn short(&self, event_id: &EventId) -> ShortEventId {
        self.rooms.storage.short_event_id(event_id).unwrap().unwrap()
    }
}

/// Two servers in one room: the first one made it, and Alice is there; Bob of the second one has joined.
pub(crate) fn two_servers(version: &RoomVersionId) -> (Server, Server, OwnedRoomId) {
    let (one, two) = (Server::new("one.example"), Server::new("two.example"));
    let room = one.public_room(&one.user("alice"), version);
    two.join_through(&one, &room, &two.user("bob"));
    (one, two, room)
}
