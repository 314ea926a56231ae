//! A server on disk with many rooms, users in some of them, and both kinds of sync over it.

use std::{sync::OnceLock, time::Instant};

use conduit::{
    matrix::{canonical_json, room_versions},
    push::{PushRules, UnreadCounts, UnreadSources},
    rooms::{
        Appender, ClientEvents, EventStore, MemberProfile, MemberProfiles, RoomCreator, RoomIndex,
        RoomStates, SigningKeys, SyncToken, Timelines, Typing, Viewer, Visibility,
        appender::Draft,
        creation::{NewRoom, Preset},
    },
    storage::{Durability, Read, Storage, StorageOptions},
    sync::v3::{SyncSources, SyncV3},
    users::{Clock, EncryptionKeys, Filters, ToDevice},
};
use ruma::{OwnedRoomId, OwnedUserId, owned_device_id};
use serde_json::json;

/// The store's memory: what a small machine gives.
const MEMORY_BYTES: u64 = 64 << 20;

/// The server.
pub struct SyncServer {
    _folder: tempfile::TempDir,
    storage: Storage,
    appender: Appender,
    rooms: Vec<OwnedRoomId>,
    talker: OwnedUserId,
    pub sync: SyncV3,
    /// The users, in the order of their numbers of rooms.
    pub viewers: Vec<Viewer>,
}

impl SyncServer {
    /// The server, made once, with users in these numbers of rooms; the last is that of all rooms.
    pub fn get(numbers: &[usize]) -> &'static Self {
        static SERVER: OnceLock<SyncServer> = OnceLock::new();
        SERVER.get_or_init(|| {
            let start = Instant::now();
            let server = Self::new(numbers);
            println!("{} rooms and their users: made in {:.1?}", server.rooms.len(), start.elapsed());
            server
        })
    }

    fn new(numbers: &[usize]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let options = StorageOptions {
            path: folder.path().to_owned(),
            durability: Durability::PowerLoss,
            memory_bytes: MEMORY_BYTES,
        };
        let storage = Storage::open(&options).expect("a new database");
        let index = RoomIndex::new(storage.clone());
        let events = EventStore::new(storage.clone(), index.clone(), MEMORY_BYTES / 8);
        let states = RoomStates::new(storage.clone(), 8 << 20);
        let appender = Appender::new(
            "example.org".try_into().expect("a server name"),
            storage.clone(),
            index.clone(),
            events.clone(),
            states.clone(),
            SigningKeys::load_or_generate(&storage).expect("a signing key"),
            Clock::system(),
        );
        let user = |name: &str| OwnedUserId::try_from(format!("@{name}:example.org")).expect("a user id");
        let talker = user("talker");
        let users: Vec<_> = numbers.iter().map(|number| (user(&format!("in{number}")), *number)).collect();
        let rooms = make_rooms(&appender, &talker, &users);
        let viewer = |(user_id, _): (OwnedUserId, usize)| Viewer {
            user: storage.short_user_id(&user_id).expect("a readable store").expect("a user"),
            user_id,
            device_id: Some(owned_device_id!("DEVICE")),
        };
        let viewers = users.into_iter().map(viewer).collect();
        let sync = make_sync(&storage, index, events, states);
        storage.durable_blocking().expect("a writable disk");
        Self { _folder: folder, storage, appender, rooms, talker, sync, viewers }
    }

    /// Somebody says something in the room with this number; the token from just before.
    pub fn say(&self, room: usize) -> SyncToken {
        let before = self.token();
        let content = json!({"msgtype": "m.text", "body": "The quick brown fox jumps over the lazy dog"});
        let content = canonical_json::to_object(&content).expect("canonical JSON");
        let mut batch = self.appender.begin(&self.rooms[room]).expect("a room");
        batch.push(Draft::message(&self.talker, "m.room.message", content)).expect("an allowed message");
        batch.commit(None).expect("a writable disk");
        self.storage.durable_blocking().expect("a writable disk");
        before
    }

    /// The token of now.
    pub fn token(&self) -> SyncToken {
        self.storage.durable_blocking().expect("a writable disk");
        SyncToken::new(self.storage.position(), u64::MAX)
    }
}

fn make_sync(storage: &Storage, index: RoomIndex, events: EventStore, states: RoomStates) -> SyncV3 {
    let clock = Clock::system();
    let timelines = Timelines::new(storage.clone(), events.clone(), states.clone());
    let push_rules = PushRules::new(storage.clone());
    let unread = UnreadCounts::new(UnreadSources {
        storage: storage.clone(),
        index: index.clone(),
        events: events.clone(),
        states: states.clone(),
        timelines: timelines.clone(),
        rules: push_rules.clone(),
    });
    let server_name = ruma::owned_server_name!("example.org");
    SyncV3::new(SyncSources {
        to_device: ToDevice::new(storage.clone(), server_name.clone(), clock.clone()),
        keys: EncryptionKeys::new(storage.clone(), server_name),
        visibility: Visibility::new(storage.clone(), index.clone(), events.clone(), states.clone()),
        client_events: ClientEvents::new(storage.clone(), states.clone(), clock.clone()),
        presence: conduit::users::Presence::off(),
        typing: Typing::new(clock),
        filters: Filters::new(storage.clone()),
        storage: storage.clone(),
        index,
        events,
        states,
        timelines,
        push_rules,
        unread,
    })
}

/// All rooms, with each user in as many of the first as its number says.
fn make_rooms(appender: &Appender, talker: &OwnedUserId, users: &[(OwnedUserId, usize)]) -> Vec<OwnedRoomId> {
    let profiles = MemberProfiles::new(|user| {
        Ok(MemberProfile { displayname: Some(user.localpart().to_owned()), avatar_url: None })
    });
    let creator = RoomCreator::new(appender.clone(), profiles, room_versions::DEFAULT);
    let make = |number| {
        let new = NewRoom { preset: Some(Preset::PublicChat), ..NewRoom::by(talker.clone()) };
        let room = creator.create(&new).expect("a room");
        let mut batch = appender.begin(&room).expect("a room");
        for (user, _) in users.iter().filter(|(_, rooms)| number < *rooms) {
            let content = canonical_json::to_object(&json!({"membership": "join"})).expect("canonical JSON");
            batch.push(Draft::state(user, "m.room.member", user.as_str(), content)).expect("an allowed join");
        }
        batch.commit(None).expect("a writable disk");
        room
    };
    (0..users.iter().map(|(_, rooms)| *rooms).max().unwrap_or(0)).map(make).collect()
}
