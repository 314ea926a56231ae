//! What every engine and the transactions promise.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
};

use super::{
    engine::{RowIterator, RowReader},
    tables::{ROOM_HEADS, SHORT_IDS, STATE_NODES, TIMELINE},
    *,
};

fn options(path: &Path) -> StorageOptions {
    StorageOptions { path: path.to_owned(), durability: Durability::PowerLoss, memory_bytes: 16 << 20 }
}

fn both(test: impl Fn(Storage)) {
    test(Storage::in_memory().unwrap());
    let folder = tempfile::tempdir().unwrap();
    test(Storage::open(&options(folder.path())).unwrap());
}

fn timeline(storage: &impl Read, direction: Direction) -> Vec<i64> {
    let room = TIMELINE.prefix(&(ShortRoomId(1),));
    storage.scan(&TIMELINE, &room, direction).map(|row| row.unwrap().0.1.0).collect()
}

fn put_timeline(storage: &Storage, keys: &[i64]) {
    storage
        .write(|tx| {
            for key in keys {
                let value = (ShortEventId(1), StreamPosition(1));
                tx.put(&TIMELINE, &(ShortRoomId(1), TimelineKey(*key)), &value);
                tx.put(&TIMELINE, &(ShortRoomId(2), TimelineKey(*key)), &value);
            }
            Ok::<_, StorageError>(())
        })
        .unwrap();
}

#[test]
fn ranges_are_ordered_and_stay_in_their_prefix() {
    both(|storage| {
        put_timeline(&storage, &[3, -1, 1, -2, 2]);
        assert_eq!(timeline(&storage, Direction::Forward), [-2, -1, 1, 2, 3]);
        assert_eq!(timeline(&storage, Direction::Backward), [3, 2, 1, -1, -2]);
        let until = TIMELINE.prefix_until(&(ShortRoomId(1),), &(ShortRoomId(1), TimelineKey(2)));
        let keys: Vec<i64> =
            storage.scan(&TIMELINE, &until, Direction::Backward).map(|row| row.unwrap().0.1.0).collect();
        assert_eq!(keys, [1, -1, -2]);
    });
}

#[test]
fn a_transaction_reads_its_own_writes_in_order() {
    both(|storage| {
        put_timeline(&storage, &[1, 3, 5]);
        storage
            .write(|tx| {
                let value = (ShortEventId(1), StreamPosition(1));
                tx.put(&TIMELINE, &(ShortRoomId(1), TimelineKey(2)), &value);
                tx.put(&TIMELINE, &(ShortRoomId(1), TimelineKey(5)), &value);
                tx.put(&TIMELINE, &(ShortRoomId(1), TimelineKey(9)), &value);
                tx.delete(&TIMELINE, &(ShortRoomId(1), TimelineKey(3)));
                assert_eq!(timeline(tx, Direction::Forward), [1, 2, 5, 9]);
                assert_eq!(timeline(tx, Direction::Backward), [9, 5, 2, 1]);
                Ok::<_, StorageError>(())
            })
            .unwrap();
        assert_eq!(timeline(&storage, Direction::Forward), [1, 2, 5, 9]);
    });
}

#[test]
fn a_failed_transaction_leaves_no_row_and_no_number() {
    both(|storage| {
        let failed: Result<(), StorageError> = storage.write(|tx| {
            tx.next_position();
            tx.intern_room(ruma::room_id!("!lost:example.org"))?;
            tx.put(&ROOM_HEADS, &ShortRoomId(1), &head());
            Err(StorageError::NotDurable("on purpose".to_owned()))
        });
        assert!(failed.is_err());
        assert_eq!(storage.short_room_id(ruma::room_id!("!lost:example.org")).unwrap(), None);
        assert_eq!(storage.get(&ROOM_HEADS, &ShortRoomId(1)).unwrap(), None);
        let room = ruma::room_id!("!kept:example.org");
        let (short, position) =
            storage.write(|tx| Ok::<_, StorageError>((tx.intern_room(room)?, tx.next_position()))).unwrap();
        assert_eq!((short, position), (ShortRoomId(1), StreamPosition(1)));
        assert_eq!(storage.room_id(short).unwrap(), room);
    });
}

fn head() -> records::RoomHead {
    records::RoomHead {
        depth: 1,
        state: [0; 16],
        newest: TimelineKey(1),
        oldest: TimelineKey(0),
        extremities: vec![ShortEventId(1)],
    }
}

#[test]
fn numbers_go_on_after_a_restart_and_a_second_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let intern = |storage: &Storage, event: &str| {
        let event = ruma::OwnedEventId::try_from(event).unwrap();
        let short = storage.write(|tx| tx.intern_event(&event)).unwrap();
        storage.durable_blocking().unwrap();
        short
    };
    let storage = Storage::open(&options(folder.path())).unwrap();
    assert_eq!(intern(&storage, "$one"), ShortEventId(1));
    let refused = Storage::open(&options(folder.path())).unwrap_err();
    assert!(matches!(refused, StorageError::InUse(_)), "{refused}");
    drop(storage);
    let storage = Storage::open(&options(folder.path())).unwrap();
    assert_eq!(intern(&storage, "$two"), ShortEventId(2));
    assert_eq!(intern(&storage, "$one"), ShortEventId(1));
}

#[test]
fn a_newer_schema_is_refused() {
    let engine = Arc::new(MemoryEngine::default());
    let newer = (SCHEMA_VERSION + 1).to_value();
    let key = [tables::SCHEMA.info.number];
    let row = RowWrite { family: Family::Index, key: &key, value: Some(&newer) };
    engine.write(&mut std::iter::once(row)).unwrap();
    let refused = Storage::with_engine(engine, Durability::Process, 1 << 16).unwrap_err();
    assert!(matches!(refused, StorageError::NewerSchema { .. }));
}

#[test]
fn an_older_schema_is_refused_once_there_are_rooms() {
    let engine = Arc::new(MemoryEngine::default());
    let put = |key: &[u8], value: &[u8]| {
        let row = RowWrite { family: Family::Index, key, value: Some(value) };
        engine.write(&mut std::iter::once(row)).unwrap();
    };
    let open = || Storage::with_engine(engine.clone(), Durability::Process, 1 << 16).map(drop);
    let schema = [tables::SCHEMA.info.number];
    put(&schema, &(SCHEMA_VERSION - 1).to_value());
    open().unwrap();
    assert_eq!(engine.get(Family::Index, &schema).unwrap(), Some(SCHEMA_VERSION.to_value()));
    put(&schema, &(SCHEMA_VERSION - 1).to_value());
    put(&tables::ROOMS.key_bytes(&ShortRoomId(1)), b"{}");
    assert!(matches!(open().unwrap_err(), StorageError::OlderSchema { .. }));
}

#[test]
fn a_corrupt_row_is_an_error_alone_and_skipped_in_a_scan() {
    let engine = Arc::new(MemoryEngine::default());
    let storage = Storage::with_engine(engine.clone(), Durability::Process, 1 << 16).unwrap();
    put_timeline(&storage, &[1, 2, 3]);
    let key = (ShortRoomId(1), TimelineKey(2));
    let mut bytes = vec![TIMELINE.info.number];
    key.encode(&mut bytes);
    let row = RowWrite { family: Family::Timeline, key: &bytes, value: Some(b"short") };
    engine.write(&mut std::iter::once(row)).unwrap();
    assert!(matches!(storage.get(&TIMELINE, &key), Err(StorageError::Corrupt { table: "TIMELINE", .. })));
    assert_eq!(timeline(&storage, Direction::Forward), [1, 3]);
}

#[test]
fn a_snapshot_does_not_see_later_writes() {
    both(|storage| {
        put_timeline(&storage, &[1]);
        let snapshot = storage.snapshot();
        put_timeline(&storage, &[2]);
        assert_eq!(timeline(&snapshot, Direction::Forward), [1]);
        assert_eq!(timeline(&storage, Direction::Forward), [1, 2]);
    });
}

#[test]
fn changes_are_announced_in_order_and_only_when_readable() {
    let storage = Storage::in_memory().unwrap();
    let (sender, received) = mpsc::channel();
    let position = storage.watch_position();
    storage.on_durable(move |changes| {
        for change in changes {
            assert!(position.borrow().position >= change.position);
            sender.send(change.position.0).unwrap();
        }
    });
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                for _ in 0..50 {
                    storage
                        .write(|tx| {
                            let position = tx.next_position();
                            tx.announce(ChangeScope::Room(ShortRoomId(1)), position);
                            tx.put(&SHORT_IDS, &(9, position.0.to_string()), &position.0);
                            Ok::<_, StorageError>(())
                        })
                        .unwrap();
                }
            });
        }
    });
    storage.durable_blocking().unwrap();
    drop(storage);
    assert_eq!(received.iter().collect::<Vec<_>>(), (1..=200).collect::<Vec<_>>());
}

/// A disk whose syncs can be held back or made to fail.
#[derive(Default)]
struct Disk {
    engine: MemoryEngine,
    gate: Mutex<()>,
    syncs: AtomicU64,
    failing: AtomicBool,
}

impl RowReader for Disk {
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

impl Engine for Disk {
    fn write(&self, batch: &mut dyn Iterator<Item = RowWrite<'_>>) -> Result<(), EngineError> {
        self.engine.write(batch)
    }

    fn sync(&self) -> Result<(), EngineError> {
        drop(self.gate.lock().unwrap());
        self.syncs.fetch_add(1, Ordering::SeqCst);
        if self.failing.load(Ordering::SeqCst) {
            return Err(EngineError::Other("input/output error".to_owned()));
        }
        Ok(())
    }

    fn snapshot(&self) -> Box<dyn RowReader + '_> {
        self.engine.snapshot()
    }
}

fn put_node(storage: &Storage, number: u8) {
    storage
        .write(|tx| {
            tx.next_position();
            tx.put(&STATE_NODES, &[number; 16], &vec![number]);
            Ok::<_, StorageError>(())
        })
        .unwrap();
}

#[test]
fn one_sync_serves_all_that_wait() {
    let disk = Arc::new(Disk::default());
    let storage = Storage::with_engine(disk.clone(), Durability::PowerLoss, 1 << 16).unwrap();
    let syncs_before = disk.syncs.load(Ordering::SeqCst);
    let gate = disk.gate.lock().unwrap();
    for number in 0..16 {
        put_node(&storage, number);
    }
    assert_eq!(storage.position(), StreamPosition(0), "nothing is readable before it is durable");
    drop(gate);
    storage.durable_blocking().unwrap();
    assert_eq!(storage.position(), StreamPosition(16));
    let syncs = disk.syncs.load(Ordering::SeqCst) - syncs_before;
    assert!(syncs <= 2, "{syncs} syncs for 16 writes: one that held back, one for the rest");
}

#[test]
fn a_failed_sync_acknowledges_nothing_and_the_next_one_recovers() {
    let disk = Arc::new(Disk::default());
    let storage = Storage::with_engine(disk.clone(), Durability::PowerLoss, 1 << 16).unwrap();
    disk.failing.store(true, Ordering::SeqCst);
    put_node(&storage, 1);
    assert!(matches!(storage.durable_blocking(), Err(StorageError::NotDurable(_))));
    assert_eq!(storage.position(), StreamPosition(0));
    disk.failing.store(false, Ordering::SeqCst);
    put_node(&storage, 2);
    storage.durable_blocking().unwrap();
    assert_eq!(storage.position(), StreamPosition(2));
}
