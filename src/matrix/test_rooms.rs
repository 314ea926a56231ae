//! Rooms for tests: events built and signed as a real server would, for any room version.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc};

use ruma::{
    OwnedRoomId, RoomVersionId, ServerName, UserId, room_version_rules::RoomVersionRules, server_name,
};
use serde_json::{Value, json};

use super::{
    AuthError, AuthRefusal, AuthState, Event, EventDraft, EventReference, SigningKey,
    auth_rules::{AuthEvent, check_state_dependent, check_state_independent},
    canonical_json, room_versions,
};

/// The server that signs everything, whoever the sender is.
pub(crate) fn server() -> &'static ServerName {
    server_name!("example.org")
}

/// The key of the test vectors.
pub(crate) fn key() -> SigningKey {
    use base64::Engine;
    let seed = super::hashes::BASE64.decode("YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1").unwrap();
    SigningKey::from_seed(seed.try_into().unwrap(), "1").unwrap()
}

/// A room under construction: its current state, and the last event.
pub(crate) struct TestRoom {
    pub(crate) rules: RoomVersionRules,
    pub(crate) room_id: Option<OwnedRoomId>,
    pub(crate) state: BTreeMap<(String, String), Arc<Event>>,
    pub(crate) last: Option<Arc<Event>>,
    pub(crate) events: Vec<Arc<Event>>,
}

impl AuthState for TestRoom {
    type Error = Infallible;

    fn state_event(&self, event_type: &str, state_key: &str) -> Result<Option<Arc<Event>>, Infallible> {
        Ok(self.state.get(&(event_type.to_owned(), state_key.to_owned())).cloned())
    }
}

pub(crate) const CREATOR: &str = "@creator:example.org";

impl TestRoom {
    /// A room with nothing in it, not even a create event.
    pub(crate) fn empty(version: &RoomVersionId) -> Self {
        let rules = room_versions::rules(version).unwrap();
        let room_id = rules
            .event_format
            .require_room_create_room_id
            .then(|| OwnedRoomId::try_from("!room:example.org").unwrap());
        Self { rules, room_id, state: BTreeMap::new(), last: None, events: Vec::new() }
    }

    /// A room whose creator has joined.
    pub(crate) fn new(version: &RoomVersionId) -> Self {
        Self::with_create_content(version, json!({}))
    }

    /// As [`new`](Self::new), with more in the create event's content.
    pub(crate) fn with_create_content(version: &RoomVersionId, mut content: Value) -> Self {
        let mut room = Self::empty(version);
        content["room_version"] = json!(version.as_str());
        if !room.rules.authorization.use_room_create_sender {
            content["creator"] = json!(CREATOR);
        }
        let create = room.accept(room.draft(CREATOR, "m.room.create", Some(""), content));
        room.room_id = Some(create.room_id().to_owned());
        room.accept(room.draft(CREATOR, "m.room.member", Some(CREATOR), json!({"membership": "join"})));
        room
    }

    pub(crate) fn draft(
        &self,
        sender: &str,
        event_type: &str,
        state_key: Option<&str>,
        content: Value,
    ) -> EventDraft {
        let mut draft = EventDraft {
            sticky_ms: None,
            room_id: self.room_id.clone(),
            sender: <&UserId>::try_from(sender).unwrap().to_owned(),
            event_type: event_type.to_owned(),
            state_key: state_key.map(ToOwned::to_owned),
            content: canonical_json::to_object(&content).unwrap(),
            redacts: None,
            origin_server_ts: 1_700_000_000_000 + self.events.len() as u64,
            prev_events: self.last.iter().map(|event| self.reference(event)).collect(),
            auth_events: Vec::new(),
            depth: self.events.len() as u64 + 1,
        };
        draft.auth_events = draft
            .auth_types(&self.rules)
            .unwrap()
            .into_iter()
            .filter_map(|(event_type, key)| self.state.get(&(event_type.to_owned(), key)))
            .map(|event| self.reference(event))
            .collect();
        draft
    }

    pub(crate) fn reference(&self, event: &Event) -> EventReference {
        EventReference::of(event, &self.rules).unwrap()
    }

    pub(crate) fn build(&self, draft: EventDraft) -> Arc<Event> {
        Arc::new(draft.build(&self.rules, server(), &key()).unwrap())
    }

    /// Checks an event against all the rules, with the room's state.
    pub(crate) fn check(&self, event: &Event) -> Result<(), AuthRefusal> {
        let known: Vec<AuthEvent> =
            self.events.iter().map(|event| AuthEvent { event: event.clone(), rejected: false }).collect();
        check_state_independent(event, &self.rules, &known, known.first())?;
        match check_state_dependent(event, &self.rules, self) {
            Ok(()) => Ok(()),
            Err(AuthError::Refused(refusal)) => Err(refusal),
            Err(AuthError::State(never)) => match never {},
        }
    }

    /// Builds and checks; the room stays as it is.
    pub(crate) fn attempt(
        &self,
        sender: &str,
        event_type: &str,
        state_key: Option<&str>,
        content: Value,
    ) -> Result<(), AuthRefusal> {
        self.check(&self.build(self.draft(sender, event_type, state_key, content)))
    }

    /// Builds, checks, which must succeed, and puts into the room.
    pub(crate) fn accept(&mut self, draft: EventDraft) -> Arc<Event> {
        let event = self.build(draft);
        self.check(&event).unwrap();
        self.put(event.clone());
        event
    }

    /// Puts an event into the room without a check: how tests reach states at will.
    pub(crate) fn put(&mut self, event: Arc<Event>) {
        if let Some(state_key) = event.state_key() {
            let key = (event.event_type().to_owned(), state_key.to_owned());
            self.state.insert(key, event.clone());
        }
        self.last = Some(event.clone());
        self.events.push(event);
    }

    pub(crate) fn put_state(&mut self, sender: &str, event_type: &str, state_key: &str, content: Value) {
        self.put(self.build(self.draft(sender, event_type, Some(state_key), content)));
    }

    pub(crate) fn put_member(&mut self, user: &str, membership: &str) {
        self.put_state(user, "m.room.member", user, json!({"membership": membership}));
    }

    pub(crate) fn put_join_rule(&mut self, join_rule: &str) {
        self.put_state(CREATOR, "m.room.join_rules", "", json!({"join_rule": join_rule}));
    }

    pub(crate) fn put_levels(&mut self, content: Value) {
        self.put_state(CREATOR, "m.room.power_levels", "", content);
    }
}
