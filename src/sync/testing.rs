//! A server with rooms, users and sync over a store in memory, for tests.

use std::sync::Arc;

use ruma::{OwnedUserId, RoomId, UserId, owned_device_id};
use serde_json::{Value, json, value::to_raw_value};

use super::{
    Notifier, SyncFilter,
    v3::{SyncRequest, SyncSources, SyncV3, response::StateUpTo},
};
use crate::{
    push::{PushRules, UnreadCounts, UnreadSources},
    rooms::{
        ClientEvents, Receipts, SyncToken, Timelines, Typing, Viewer, Visibility, testing::RoomsFixture,
    },
    storage::{Read, ShortUserId, Storage},
    users::{AccountData, Clock, Filters},
};

/// The services.
pub(crate) struct SyncFixture {
    pub(crate) rooms: RoomsFixture,
    pub(crate) storage: Storage,
    pub(crate) typing: Typing,
    pub(crate) receipts: Receipts,
    pub(crate) unread: UnreadCounts,
    pub(crate) push_rules: PushRules,
    pub(crate) notifier: Notifier,
    pub(crate) sync: SyncV3,
}

impl SyncFixture {
    /// An empty server.
    pub(crate) fn new() -> Self {
        Self::over(Storage::in_memory().unwrap())
    }

    /// The services over a store.
    pub(crate) fn over(storage: Storage) -> Self {
        let rooms = RoomsFixture::over(storage.clone());
        let (index, events, states) = (rooms.index.clone(), rooms.events.clone(), rooms.states.clone());
        let (clock, _) = Clock::manual(1_700_000_000_000);
        let timelines = Timelines::new(storage.clone(), events.clone(), states.clone());
        let visibility = Visibility::new(storage.clone(), index.clone(), events.clone(), states.clone());
        let client_events = ClientEvents::new(storage.clone(), states.clone(), clock.clone());
        let typing = Typing::new(clock.clone());
        let receipts = Receipts::new(storage.clone(), events.clone(), visibility.clone(), clock);
        let push_rules = PushRules::new(storage.clone());
        let unread = UnreadCounts::new(UnreadSources {
            storage: storage.clone(),
            index: index.clone(),
            events: events.clone(),
            states: states.clone(),
            timelines: timelines.clone(),
            rules: push_rules.clone(),
        });
        let notifier = Notifier::start(storage.clone()).unwrap();
        let sync = SyncV3::new(SyncSources {
            storage: storage.clone(),
            index,
            events,
            states,
            timelines,
            visibility,
            client_events,
            typing: typing.clone(),
            filters: Filters::new(storage.clone()),
            push_rules: push_rules.clone(),
            unread: unread.clone(),
        });
        Self { rooms, storage, typing, receipts, unread, push_rules, notifier, sync }
    }

    /// A user's short id, made if need be.
    pub(crate) fn short_user(&self, user: &UserId) -> ShortUserId {
        match self.storage.short_user_id(user).unwrap() {
            Some(short) => short,
            None => self.storage.write(|tx| tx.intern_user(user)).unwrap(),
        }
    }

    /// A user at the device `PHONE`.
    pub(crate) fn viewer(&self, user: &UserId) -> Viewer {
        Viewer {
            user: self.short_user(user),
            user_id: user.to_owned(),
            device_id: Some(owned_device_id!("PHONE")),
        }
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

    /// Sets account data.
    pub(crate) fn set_data(&self, user: &UserId, room: Option<&RoomId>, event_type: &str, content: &Value) {
        let user = self.short_user(user);
        let room = room.map(|room| self.rooms.short(room));
        let content = to_raw_value(content).unwrap();
        self.storage.write(|tx| AccountData::put(tx, user, room, event_type, &content)).unwrap();
    }

    /// The user ignores these users.
    pub(crate) fn ignore(&self, user: &UserId, ignored: &[&UserId]) {
        let users: serde_json::Map<_, _> = ignored.iter().map(|user| (user.to_string(), json!({}))).collect();
        self.set_data(user, None, "m.ignored_user_list", &json!({"ignored_users": users}));
    }
}

/// `@alice:example.org`, `@bob:example.org`, `@carol:example.org`.
pub(crate) fn people() -> [OwnedUserId; 3] {
    ["alice", "bob", "carol"].map(RoomsFixture::user)
}

/// The bodies (or else types) of the events at a place in an answer.
pub(crate) fn shown(events: &Value) -> Vec<String> {
    let name = |event: &Value| {
        let body = event["content"]["body"].as_str().or_else(|| event["type"].as_str());
        body.unwrap_or_default().to_owned()
    };
    events["events"].as_array().map(|events| events.iter().map(name).collect()).unwrap_or_default()
}
