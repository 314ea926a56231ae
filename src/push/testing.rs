//! A server with rooms, users and push rules over a store in memory, for tests.

use ruma::{OwnedUserId, RoomId, UserId, owned_device_id};
use serde_json::{Value, json, value::to_raw_value};

use super::{PushRules, UnreadCounts, UnreadSources};
use crate::{
    rooms::{Receipts, Timelines, Viewer, Visibility, testing::RoomsFixture},
    storage::{Read, ShortUserId, Storage},
    users::{AccountData, Clock},
};

/// The services.
pub(crate) struct PushFixture {
    pub(crate) rooms: RoomsFixture,
    pub(crate) storage: Storage,
    pub(crate) timelines: Timelines,
    pub(crate) visibility: Visibility,
    pub(crate) receipts: Receipts,
    pub(crate) push_rules: PushRules,
    pub(crate) unread: UnreadCounts,
}

impl PushFixture {
    /// An empty server.
    pub(crate) fn new() -> Self {
        let storage = Storage::in_memory().unwrap();
        let rooms = RoomsFixture::over(storage.clone());
        let (index, events, states) = (rooms.index.clone(), rooms.events.clone(), rooms.states.clone());
        let (clock, _) = Clock::manual(1_700_000_000_000);
        let timelines = Timelines::new(storage.clone(), events.clone(), states.clone());
        let visibility = Visibility::new(storage.clone(), index, events.clone(), states);
        let receipts = Receipts::new(storage.clone(), events, visibility.clone(), clock);
        let push_rules = PushRules::new(storage.clone());
        let unread = unread_counts(&rooms, &timelines, &push_rules);
        Self { rooms, storage, timelines, visibility, receipts, push_rules, unread }
    }

    /// Unread counts that remember nothing: as after a restart.
    pub(crate) fn fresh_unread(&self) -> UnreadCounts {
        unread_counts(&self.rooms, &self.timelines, &self.push_rules)
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

fn unread_counts(rooms: &RoomsFixture, timelines: &Timelines, rules: &PushRules) -> UnreadCounts {
    UnreadCounts::new(UnreadSources {
        storage: rooms.storage.clone(),
        index: rooms.index.clone(),
        events: rooms.events.clone(),
        states: rooms.states.clone(),
        timelines: timelines.clone(),
        rules: rules.clone(),
    })
}

/// `@alice:example.org`, `@bob:example.org`, `@carol:example.org`.
pub(crate) fn people() -> [OwnedUserId; 3] {
    ["alice", "bob", "carol"].map(RoomsFixture::user)
}
