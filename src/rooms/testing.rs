//! Rooms for tests: a store in memory, the rooms' services over it, and short ways to what tests need.

use std::sync::Arc;

use ruma::{CanonicalJsonObject, OwnedEventId, OwnedRoomId, OwnedServerName, OwnedUserId, RoomId, UserId};
use serde_json::{Value, json};

use super::{
    Appender, EventStore, MemberProfile, MemberProfiles, RoomCreator, RoomError, RoomIndex, RoomStates,
    SigningKeys,
    appender::Draft,
    creation::{NewRoom, Preset},
};
use crate::{
    matrix::{canonical_json, event::Event, room_versions},
    storage::{Direction, Read, ShortRoomId, Storage, tables::TIMELINE},
    users::{Clock, ManualClock},
};

/// The rooms' services over a store in memory, as server `example.org`.
pub(crate) struct RoomsFixture {
    pub(crate) storage: Storage,
    pub(crate) index: RoomIndex,
    pub(crate) events: EventStore,
    pub(crate) states: RoomStates,
    pub(crate) profiles: MemberProfiles,
    pub(crate) appender: Appender,
    pub(crate) creator: RoomCreator,
    pub(crate) clock: ManualClock,
}

/// The content of an event from a JSON literal.
pub(crate) fn content(json: Value) -> CanonicalJsonObject {
    canonical_json::to_object(&json).unwrap()
}

impl RoomsFixture {
    /// An empty server.
    pub(crate) fn new() -> Self {
        Self::over(Storage::in_memory().unwrap())
    }

    /// The services over a store that has something in it: as after a restart.
    pub(crate) fn over(storage: Storage) -> Self {
        Self::named("example.org", storage)
    }

    /// The services of another server than `example.org`.
    pub(crate) fn named(server_name: &str, storage: Storage) -> Self {
        let server_name = OwnedServerName::try_from(server_name).unwrap();
        let index = RoomIndex::new(storage.clone());
        let events = EventStore::new(storage.clone(), index.clone(), 1 << 20);
        let states = RoomStates::new(storage.clone(), 1 << 20);
        let keys = SigningKeys::load_or_generate(&storage).unwrap();
        let (clock, manual) = Clock::manual(1_700_000_000_000);
        let profiles = MemberProfiles::new(|user| {
            Ok(MemberProfile { displayname: Some(user.localpart().to_uppercase()), avatar_url: None })
        });
        let appender = Appender::new(
            server_name,
            storage.clone(),
            index.clone(),
            events.clone(),
            states.clone(),
            keys,
            clock,
        );
        let creator = RoomCreator::new(appender.clone(), profiles.clone(), room_versions::DEFAULT);
        Self { storage, index, events, states, profiles, appender, creator, clock: manual }
    }

    /// `@name:example.org`.
    pub(crate) fn user(name: &str) -> OwnedUserId {
        OwnedUserId::try_from(format!("@{name}:example.org")).unwrap()
    }

    /// A new room of the default version that anyone may join, with its creator in it.
    pub(crate) fn public_room(&self, creator: &UserId) -> OwnedRoomId {
        self.create(NewRoom { preset: Some(Preset::PublicChat), ..NewRoom::by(creator.to_owned()) })
    }

    /// A new room that anybody may join, of a type.
    pub(crate) fn room_of_type(&self, creator: &UserId, room_type: &str) -> OwnedRoomId {
        let creation_content = content(json!({"type": room_type}));
        let preset = Some(Preset::PublicChat);
        self.create(NewRoom { preset, creation_content, ..NewRoom::by(creator.to_owned()) })
    }

    /// A new room.
    pub(crate) fn create(&self, new: NewRoom) -> OwnedRoomId {
        self.clock.advance_ms(1);
        self.creator.create(&new).unwrap()
    }

    /// Appends one event.
    pub(crate) fn append(&self, room: &RoomId, draft: Draft) -> Result<OwnedEventId, RoomError> {
        let mut batch = self.appender.begin(room)?;
        let event = batch.push(draft)?;
        batch.commit(None)?;
        Ok(event.event_id().to_owned())
    }

    /// Sends a text message.
    pub(crate) fn say(&self, room: &RoomId, sender: &UserId, body: &str) -> OwnedEventId {
        let content = content(json!({"msgtype": "m.text", "body": body}));
        self.append(room, Draft::message(sender, "m.room.message", content)).unwrap()
    }

    /// Sets a state event.
    pub(crate) fn set_state(
        &self,
        room: &RoomId,
        sender: &UserId,
        event_type: &str,
        state_key: &str,
        json: Value,
    ) -> Result<OwnedEventId, RoomError> {
        self.append(room, Draft::state(sender, event_type, state_key, content(json)))
    }

    /// Sets a user's membership, sent by `sender`.
    pub(crate) fn set_membership(
        &self,
        room: &RoomId,
        sender: &UserId,
        target: &UserId,
        membership: &str,
    ) -> Result<OwnedEventId, RoomError> {
        self.set_state(room, sender, "m.room.member", target.as_str(), json!({"membership": membership}))
    }

    /// The user joins the room.
    pub(crate) fn join(&self, room: &RoomId, user: &UserId) {
        self.set_membership(room, user, user, "join").unwrap();
    }

    /// The short id of a room.
    pub(crate) fn short(&self, room: &RoomId) -> ShortRoomId {
        self.index.room(room).unwrap().unwrap()
    }

    /// All events of a room, oldest first.
    pub(crate) fn timeline(&self, room: &RoomId) -> Vec<Arc<Event>> {
        let rows = self.storage.scan(&TIMELINE, &TIMELINE.prefix(&(self.short(room),)), Direction::Forward);
        rows.map(|row| self.events.get(row.unwrap().1.0).unwrap().unwrap().event).collect()
    }

    /// A state event of a room's current state.
    pub(crate) fn state(&self, room: &RoomId, event_type: &str, state_key: &str) -> Option<Arc<Event>> {
        let current = self.index.current_state(self.short(room)).unwrap();
        let short = self.states.get(current, event_type, state_key).unwrap()?;
        Some(self.events.get(short).unwrap().unwrap().event)
    }

    /// The content of a state event of a room's current state; null if there is none.
    pub(crate) fn state_content(&self, room: &RoomId, event_type: &str, state_key: &str) -> Value {
        let event = self.state(room, event_type, state_key);
        event.map_or(Value::Null, |event| event.content().unwrap())
    }
}
