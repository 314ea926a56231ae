//! What the benches share: a server's room services over a real database, with the engine watched.
#![allow(dead_code, missing_docs, clippy::unwrap_used)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use conduit::{
    rooms::{Appender, EventStore, RoomIndex, RoomStates, SigningKeys, appender::Draft},
    storage::{
        Direction, Durability, Engine, EngineError, Family, MemoryShares, RocksEngine, RowIterator,
        RowReader, RowWrite, Storage,
    },
    users::Clock,
};
use ruma::{CanonicalJsonObject, OwnedRoomId, OwnedServerName, OwnedUserId, RoomVersionId, UserId};

/// RocksDB that counts the bytes of its batches and may sync as slowly as an SD card.
pub struct WatchedEngine {
    engine: RocksEngine,
    pub bytes: AtomicU64,
    pub syncs: AtomicU64,
    sync_delay: Duration,
}

impl RowReader for WatchedEngine {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.engine.get(family, key)
    }

    fn multi_get(&self, family: Family, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, EngineError> {
        self.engine.multi_get(family, keys)
    }

    fn scan(&self, f: Family, lower: &[u8], upper: Option<&[u8]>, direction: Direction) -> RowIterator<'_> {
        self.engine.scan(f, lower, upper, direction)
    }
}

impl Engine for WatchedEngine {
    fn write(&self, batch: &mut dyn Iterator<Item = RowWrite<'_>>) -> Result<(), EngineError> {
        let mut bytes = 0;
        let outcome = self.engine.write(&mut batch.inspect(|row| {
            bytes += row.key.len() + row.value.map_or(0, <[u8]>::len);
        }));
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        outcome
    }

    fn sync(&self) -> Result<(), EngineError> {
        std::thread::sleep(self.sync_delay);
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.engine.sync()
    }

    fn snapshot(&self) -> Box<dyn RowReader + '_> {
        self.engine.snapshot()
    }
}

/// A server's room services in a folder that goes away with it.
pub struct Server {
    pub engine: Arc<WatchedEngine>,
    pub storage: Storage,
    pub appender: Appender,
    folder: tempfile::TempDir,
    rooms_made: AtomicU64,
}

impl Server {
    /// With the default durability; each sync takes `sync_delay` longer than the disk's.
    pub fn start(sync_delay: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shares = MemoryShares::of(96 << 20);
        let engine = RocksEngine::open(folder.path(), &shares).unwrap();
        let (bytes, syncs) = (AtomicU64::new(0), AtomicU64::new(0));
        let engine = Arc::new(WatchedEngine { engine, bytes, syncs, sync_delay });
        let storage = Storage::with_engine(engine.clone(), Durability::PowerLoss, shares.short_ids).unwrap();
        let index = RoomIndex::new(storage.clone());
        let events = EventStore::new(storage.clone(), index.clone(), shares.events);
        let states = RoomStates::new(storage.clone(), usize::try_from(shares.state_nodes).unwrap());
        let keys = SigningKeys::load_or_generate(&storage).unwrap();
        let name = OwnedServerName::try_from("bench.example").unwrap();
        let appender = Appender::new(name, storage.clone(), index, events, states, keys, Clock::system());
        Self { engine, storage, appender, folder, rooms_made: AtomicU64::new(0) }
    }

    /// The folder of the database.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// A room of `creator` with the least state: create event, membership, power levels.
    pub fn room(&self, creator: &UserId) -> OwnedRoomId {
        // Create events of one user that are equal but for their time need times of their own.
        let earliest_ms = self.appender.now_ms() + self.rooms_made.fetch_add(1, Ordering::Relaxed);
        let mut batch = self.appender.begin_new(&RoomVersionId::V12, None, earliest_ms).unwrap();
        batch.push(Draft::state(creator, "m.room.create", "", content(r#"{"room_version":"12"}"#))).unwrap();
        let join = content(r#"{"membership":"join"}"#);
        batch.push(Draft::state(creator, "m.room.member", creator.as_str(), join)).unwrap();
        batch.push(Draft::state(creator, "m.room.power_levels", "", content("{}"))).unwrap();
        let room = batch.room_id().unwrap().to_owned();
        batch.commit(None).unwrap();
        room
    }

    /// Appends one event, without waiting for the disk.
    pub fn append(&self, room: &OwnedRoomId, draft: Draft) {
        let mut batch = self.appender.begin(room).unwrap();
        batch.push(draft).unwrap();
        batch.commit(None).unwrap();
    }
}

/// A user of the benches' server.
pub fn user(localpart: &str) -> OwnedUserId {
    OwnedUserId::try_from(format!("@{localpart}:bench.example")).unwrap()
}

/// Content from JSON text.
pub fn content(json: &str) -> CanonicalJsonObject {
    serde_json::from_str(json).unwrap()
}

/// A text message of a usual size.
pub fn message(sender: &UserId, number: usize) -> Draft {
    let body = format!("This is message number {number}, about as long as messages in a family's chat are.");
    Draft::message(sender, "m.room.message", content(&format!(r#"{{"body":"{body}","msgtype":"m.text"}}"#)))
}

/// How long `work` takes.
pub fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// The middle one.
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
