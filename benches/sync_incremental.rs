//! Incremental sync: what it costs to tell a client of one new message, by the number of the user's rooms.
//!
//! `cargo bench --bench sync_incremental` makes a server on disk with 5,000 rooms and three users who are in
//! 10, 100 and all of them, and times the answer to a request whose token is one message old: finding the
//! room, the timeline with its state, unread counts by the push rules, and the answer as JSON. All three are
//! in the room where it happens, and their database is the same, so that they differ in nothing but the
//! number of rooms that stay quiet.
//!
//! Bar: with 5,000 rooms at most 1.5 times as long as with 10. The ratio of the medians is printed and
//! asserted before the benches run, so a regression fails the command.
#![allow(clippy::expect_used)] // A bench may fail loudly.

use std::{
    hint::black_box,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

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
    sync::{
        SyncFilter,
        v3::{SyncRequest, SyncSources, SyncV3, response::StateUpTo},
    },
    users::{Clock, EncryptionKeys, Filters, ToDevice},
};
use divan::Bencher;
use ruma::{OwnedRoomId, OwnedUserId, owned_device_id};
use serde_json::json;

/// Numbers of rooms that the users are in; the largest is that of all rooms.
const ROOMS: [usize; 3] = [10, 100, 5_000];
/// Rooms in which something happens, by turns. All users are in them.
const BUSY_ROOMS: usize = 10;
/// Answers timed for the ratio, with each number of rooms.
const ROUNDS: usize = 600;
/// The bar for the ratio of the largest to the smallest.
const RATIO_MAX: f64 = 1.5;
/// The store's memory: what a small machine gives.
const MEMORY_BYTES: u64 = 64 << 20;

fn main() {
    assert_ratio();
    divan::main();
}

/// A server with users in some of its rooms, and somebody who talks in all.
struct Server {
    _folder: tempfile::TempDir,
    storage: Storage,
    appender: Appender,
    sync: SyncV3,
    rooms: Vec<OwnedRoomId>,
    talker: OwnedUserId,
    /// Of each user, without a token.
    requests: [SyncRequest; 3],
}

impl Server {
    /// The server, made once.
    fn get() -> &'static Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(|| {
            let start = Instant::now();
            let server = Self::new();
            println!("{} rooms and their users: made in {:.1?}", server.rooms.len(), start.elapsed());
            server
        })
    }

    fn new() -> Self {
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
        let keys = SigningKeys::load_or_generate(&storage).expect("a signing key");
        let appender = Appender::new(
            "example.org".try_into().expect("a server name"),
            storage.clone(),
            index.clone(),
            events.clone(),
            states.clone(),
            keys,
            Clock::system(),
        );
        let [talker, users @ ..] = ["@talker", "@few", "@some", "@all"]
            .map(|user| OwnedUserId::try_from(format!("{user}:example.org")).expect("a user id"));
        let rooms = make_rooms(&appender, &talker, &users);
        let sync = make_sync(&storage, index, events, states);
        let requests = users.map(|user| request(&storage, user));
        Self { _folder: folder, storage, appender, sync, rooms, talker, requests }
    }

    /// As [`say`](Self::say), in one of the busy rooms.
    fn say_in_busy_room(&self, turn: usize) -> SyncToken {
        self.say(turn % BUSY_ROOMS)
    }

    /// Somebody says something in the room with this number; answers with the token from just before.
    fn say(&self, room: usize) -> SyncToken {
        self.storage.durable_blocking().expect("a writable disk");
        let before = SyncToken::new(self.storage.position(), u64::MAX);
        let content = json!({"msgtype": "m.text", "body": "The quick brown fox jumps over the lazy dog"});
        let content = canonical_json::to_object(&content).expect("canonical JSON");
        let mut batch = self.appender.begin(&self.rooms[room]).expect("a room");
        batch.push(Draft::message(&self.talker, "m.room.message", content)).expect("an allowed message");
        batch.commit(None).expect("a writable disk");
        self.storage.durable_blocking().expect("a writable disk");
        before
    }

    /// The answer to a user's request with this token, as it is sent.
    fn answer(&self, user: usize, since: SyncToken) -> Vec<u8> {
        let request = SyncRequest { since: Some(since), ..self.requests[user].clone() };
        let answer = self.sync.answer(&request).expect("an answer");
        assert_eq!(answer.response.rooms.join.len(), 1, "one room has changed");
        serde_json::to_vec(&answer.response).expect("JSON")
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

fn request(storage: &Storage, user_id: OwnedUserId) -> SyncRequest {
    let filter = json!({"room": {"state": {"lazy_load_members": true}}});
    let filter = serde_json::from_value(filter).expect("a filter");
    let viewer = Viewer {
        user: storage.short_user_id(&user_id).expect("a readable store").expect("a user"),
        user_id,
        device_id: Some(owned_device_id!("DEVICE")),
    };
    SyncRequest {
        viewer,
        since: None,
        filter: Arc::new(SyncFilter::new(&filter)),
        full_state: false,
        state_up_to: StateUpTo::TimelineStart,
    }
}

/// All rooms, with each user in as many of the first as its number says.
fn make_rooms(appender: &Appender, talker: &OwnedUserId, users: &[OwnedUserId; 3]) -> Vec<OwnedRoomId> {
    let profiles = MemberProfiles::new(|user| {
        Ok(MemberProfile { displayname: Some(user.localpart().to_owned()), avatar_url: None })
    });
    let creator = RoomCreator::new(appender.clone(), profiles, room_versions::DEFAULT);
    let make = |number| {
        let new = NewRoom { preset: Some(Preset::PublicChat), ..NewRoom::by(talker.clone()) };
        let room = creator.create(&new).expect("a room");
        let mut batch = appender.begin(&room).expect("a room");
        for (user, _) in users.iter().zip(ROOMS).filter(|(_, rooms)| number < *rooms) {
            let content = canonical_json::to_object(&json!({"membership": "join"})).expect("canonical JSON");
            batch.push(Draft::state(user, "m.room.member", user.as_str(), content)).expect("an allowed join");
        }
        batch.commit(None).expect("a writable disk");
        room
    };
    (0..ROOMS[2]).map(make).collect()
}

/// Times the users by turns, so that whatever else the machine does meets them alike.
fn assert_ratio() {
    let server = Server::get();
    let mut times = ROOMS.map(|_| Vec::with_capacity(ROUNDS));
    for round in 0..ROUNDS {
        let since = server.say_in_busy_room(round);
        // Who comes first finds colder caches.
        for turn in 0..ROOMS.len() {
            let user = (round + turn) % ROOMS.len();
            let start = Instant::now();
            black_box(server.answer(user, since));
            // In the first round of turns, members are told for the first time.
            if round >= BUSY_ROOMS {
                times[user].push(start.elapsed());
            }
        }
    }
    let medians = times.map(median);
    for (rooms, median) in ROOMS.iter().zip(medians) {
        println!("incremental sync with one changed room of {rooms}: {median:.1?}");
    }
    let quiet = (BUSY_ROOMS..ROUNDS).map(|room| {
        let since = server.say(room);
        let start = Instant::now();
        black_box(server.answer(2, since));
        start.elapsed()
    });
    println!(
        "the same in rooms that were quiet before, so that little is cached: {:.1?}",
        median(quiet.collect())
    );
    let [smallest, _, largest] = medians.map(|median: Duration| median.as_secs_f64());
    let ratio = largest / smallest;
    println!("ratio of {} rooms to {}: {ratio:.2} (at most {RATIO_MAX})", ROOMS[2], ROOMS[0]);
    assert!(ratio <= RATIO_MAX, "the cost of an incremental sync grows with the user's rooms");
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn user_in(rooms: usize) -> usize {
    ROOMS.iter().position(|known| *known == rooms).expect("one of the numbers")
}

/// One new message.
#[divan::bench(args = ROOMS)]
fn one_changed_room(bencher: Bencher<'_, '_>, rooms: usize) {
    let server = Server::get();
    let mut turn = 0;
    bencher
        .with_inputs(|| {
            turn += 1;
            server.say_in_busy_room(turn)
        })
        .bench_local_values(|since| server.answer(user_in(rooms), since));
}

/// A look that finds nothing, as a woken client's may be.
#[divan::bench(args = ROOMS)]
fn nothing_changed(bencher: Bencher<'_, '_>, rooms: usize) {
    let server = Server::get();
    let since = SyncToken::new(server.storage.position(), u64::MAX);
    let request = SyncRequest { since: Some(since), ..server.requests[user_in(rooms)].clone() };
    bencher.bench_local(|| server.sync.answer(&request).expect("an answer").response.is_empty());
}

/// The first answer: all rooms.
#[divan::bench(args = [10, 100], sample_count = 20)]
fn initial(bencher: Bencher<'_, '_>, rooms: usize) {
    let server = Server::get();
    let request = &server.requests[user_in(rooms)];
    bencher.bench_local(|| server.sync.answer(request).expect("an answer").response.rooms.join.len());
}
