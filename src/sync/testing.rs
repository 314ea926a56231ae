//! A server with sync over a store in memory, for tests.

use std::{ops::Deref, sync::Arc};

use ruma::UserId;
use serde_json::{Value, json};

use super::{
    Notifier, SyncError, SyncFilter,
    sliding::{SlidingRequest, SlidingSync},
    v3::{SyncRequest, SyncSources, SyncV3, response::StateUpTo},
};
pub(crate) use crate::push::testing::people;
use crate::{
    push::testing::PushFixture,
    rooms::{ClientEvents, SlidingToken, SyncToken, Typing, Viewer},
    users::{Clock, EncryptionKeys, Filters, ToDevice},
};

/// The services.
pub(crate) struct SyncFixture {
    push: PushFixture,
    pub(crate) typing: Typing,
    pub(crate) notifier: Notifier,
    pub(crate) sync: SyncV3,
    pub(crate) sliding: SlidingSync,
}

impl Deref for SyncFixture {
    type Target = PushFixture;

    fn deref(&self) -> &PushFixture {
        &self.push
    }
}

impl SyncFixture {
    /// An empty server.
    pub(crate) fn new() -> Self {
        let push = PushFixture::new();
        let storage = push.storage.clone();
        let (clock, _) = Clock::manual(1_700_000_000_000);
        let typing = Typing::new(clock.clone());
        let notifier = Notifier::start(storage.clone()).unwrap();
        let server_name = ruma::owned_server_name!("example.org");
        let sync = SyncV3::new(SyncSources {
            to_device: ToDevice::new(storage.clone(), server_name.clone(), clock.clone()),
            keys: EncryptionKeys::new(storage.clone(), server_name),
            index: push.rooms.index.clone(),
            events: push.rooms.events.clone(),
            states: push.rooms.states.clone(),
            timelines: push.timelines.clone(),
            visibility: push.visibility.clone(),
            client_events: ClientEvents::new(storage.clone(), push.rooms.states.clone(), clock),
            typing: typing.clone(),
            presence: crate::users::Presence::off(),
            filters: Filters::new(storage.clone()),
            push_rules: push.push_rules.clone(),
            unread: push.unread.clone(),
            storage,
        });
        let sliding = SlidingSync::new(sync.clone());
        Self { push, typing, notifier, sync, sliding }
    }

    /// A request with a filter.
    pub(crate) fn request(&self, user: &UserId, since: Option<SyncToken>, filter: Value) -> SyncRequest {
        SyncRequest {
            viewer: self.viewer(user),
            since,
            filter: Arc::new(SyncFilter::new(&serde_json::from_value(filter).unwrap())),
            full_state: false,
            state_up_to: StateUpTo::TimelineStart,
        }
    }

    /// The answer to a request, as JSON, and its token.
    pub(crate) fn answer(&self, request: &SyncRequest) -> (Value, SyncToken) {
        self.storage.durable_blocking().unwrap();
        let answer = self.sync.answer(request).unwrap();
        (serde_json::to_value(&answer.response).unwrap(), answer.token)
    }

    /// What a client gets that wants everything.
    pub(crate) fn sync(&self, user: &UserId, since: Option<SyncToken>) -> (Value, SyncToken) {
        self.answer(&self.request(user, since, json!({})))
    }

    /// What a client with a filter gets.
    pub(crate) fn filtered(
        &self,
        user: &UserId,
        since: Option<SyncToken>,
        filter: Value,
    ) -> (Value, SyncToken) {
        self.answer(&self.request(user, since, filter))
    }
}

/// The bodies (or else types) of the events at a place in an answer.
pub(crate) fn shown(events: &Value) -> Vec<String> {
    let name = |event: &Value| {
        let body = event["content"]["body"].as_str().or_else(|| event["type"].as_str());
        body.unwrap_or_default().to_owned()
    };
    events["events"].as_array().map(|events| events.iter().map(name).collect()).unwrap_or_default()
}

/// The answer to a client that nothing has happened for: its token, and what every answer has.
pub(crate) fn nothing_new(token: &SyncToken) -> Value {
    json!({
        "next_batch": token.to_string(), "device_one_time_keys_count": {"signed_curve25519": 0},
        "device_unused_fallback_key_types": [],
    })
}

/// A client of sliding sync: one connection.
pub(crate) struct SlidingClient {
    viewer: Viewer,
    pub(crate) pos: Option<SlidingToken>,
    pub(crate) body: Value,
}

impl SlidingClient {
    /// A connection that has not begun, with what its requests say.
    pub(crate) fn new(server: &SyncFixture, user: &UserId, body: Value) -> Self {
        Self { viewer: server.viewer(user), pos: None, body }
    }

    /// The answer to the next request, as JSON; its position is taken up.
    pub(crate) fn sync(&mut self, server: &SyncFixture) -> Value {
        let answer = self.try_sync(server).unwrap();
        self.pos = Some(answer["pos"].as_str().unwrap().parse().unwrap());
        answer
    }

    /// The answer to the next request, whose position is lost on the way.
    pub(crate) fn try_sync(&self, server: &SyncFixture) -> Result<Value, SyncError> {
        server.storage.durable_blocking().unwrap();
        let body = serde_json::from_value(self.body.clone()).unwrap();
        let request = SlidingRequest { viewer: self.viewer.clone(), pos: self.pos, body };
        let turn = server.sliding.begin(request)?;
        let answer = server.sliding.answer(&turn)?;
        let told = serde_json::to_value(&answer.response).unwrap();
        let is_empty = |part: &str| told[part].as_object().is_some_and(serde_json::Map::is_empty);
        assert!(answer.is_news || (is_empty("rooms") && is_empty("extensions")), "it is news: {told:#}");
        Ok(told)
    }
}

/// The bodies (or else types) of events.
pub(crate) fn names(events: &Value) -> Vec<String> {
    shown(&json!({"events": events}))
}
