//! The open database.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use quick_cache::{Weighter, sync::Cache};
use tokio::sync::watch;

use super::{
    changes::Change,
    engine::{Direction, Engine, Family, RowIterator, RowReader},
    error::StorageError,
    limits,
    memory::MemoryEngine,
    read::Read,
    rocks::{MemoryShares, RocksEngine},
    schema,
    short_ids::{ShortIdKind, StreamPosition},
    sync_thread::{Published, SyncThread},
    tables,
    transaction::{Counters, POSITION_COUNTER, Transaction},
};

/// What an acknowledged write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// A power cut: answers wait for an fsync, shared by all that wait.
    #[default]
    PowerLoss,
    /// The end of the process, but not a power cut: no fsync.
    Process,
}

/// How to open a database.
#[derive(Debug, Clone)]
pub struct StorageOptions {
    /// The folder, made if missing.
    pub path: PathBuf,
    /// What an acknowledged write survives.
    pub durability: Durability,
    /// Bytes for block cache, memtables and the store's own caches together.
    pub memory_bytes: u64,
}

/// The open database: cheap to clone, safe to share.
#[derive(Clone)]
pub struct Storage {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Arc<dyn Engine>,
    writer: Mutex<Counters>,
    short_ids: ShortIdCaches,
    sync: SyncThread,
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Storage").field("position", &self.position()).finish_non_exhaustive()
    }
}

impl Storage {
    /// Opens the database in a folder, or makes it. A log torn by a power cut is recovered up to the last
    /// whole write; a folder in use by another process, or written by a newer version, is refused.
    pub fn open(options: &StorageOptions) -> Result<Self, StorageError> {
        let shares = MemoryShares::of(options.memory_bytes);
        let engine = RocksEngine::open(&options.path, &shares)?;
        Self::with_engine(Arc::new(engine), options.durability, shares.short_ids)
    }

    /// Whether a folder holds a database.
    pub fn exists_in(path: &std::path::Path) -> bool {
        RocksEngine::exists_in(path)
    }

    /// An empty database in memory, for tests.
    pub fn in_memory() -> Result<Self, StorageError> {
        Self::with_engine(Arc::new(MemoryEngine::default()), Durability::Process, 1 << 20)
    }

    /// A database over any engine. `short_id_cache_bytes` bounds the cache of identifiers.
    pub fn with_engine(
        engine: Arc<dyn Engine>,
        durability: Durability,
        short_id_cache_bytes: u64,
    ) -> Result<Self, StorageError> {
        schema::check(engine.as_ref())?;
        let counters = schema::read_counters(engine.as_ref())?;
        let sync = SyncThread::start(engine.clone(), durability, StreamPosition(counters.position))?;
        let short_ids = ShortIdCaches::new(short_id_cache_bytes);
        Ok(Self { inner: Arc::new(Inner { engine, writer: Mutex::new(counters), short_ids, sync }) })
    }

    /// Runs a transaction: `work` reads and writes, and if it answers `Ok`, its writes are applied as one.
    /// Transactions run one after the other, each on its caller's thread: keep `work` short, and do
    /// hashing, signing and parsing before it. Returns once applied; see [`durable`](Self::durable).
    pub fn write<T, E: From<StorageError>>(
        &self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        // The counters change only after a write has been applied, so a panic in `work` leaves them whole.
        let mut counters = self.inner.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut transaction = Transaction::new(self, *counters);
        let outcome = work(&mut transaction)?;
        let finished = transaction.finish();
        if !finished.is_empty() {
            self.inner.engine.write(&mut finished.rows()).map_err(StorageError::from)?;
            *counters = finished.counters;
            self.inner.sync.applied(StreamPosition(counters.position), finished.changes);
        }
        Ok(outcome)
    }

    /// Waits until everything applied before this call survives what [`Durability`] promises.
    pub async fn durable(&self) -> Result<(), StorageError> {
        let sequence = self.inner.sync.applied_sequence();
        let mut published = self.inner.sync.published();
        let settled = published
            .wait_for(|published| published.settles(sequence))
            .await
            .map_err(|_| StorageError::NotDurable("the server is stopping".to_owned()))?
            .clone();
        settled.outcome(sequence)
    }

    /// [`durable`](Self::durable) for threads outside the runtime.
    pub fn durable_blocking(&self) -> Result<(), StorageError> {
        self.inner.sync.wait_blocking(self.inner.sync.applied_sequence())
    }

    /// The newest position up to which everything is durable: readers of streams stop here.
    pub fn position(&self) -> StreamPosition {
        self.inner.sync.published().borrow().position
    }

    /// Follows [`position`](Self::position).
    pub fn watch_position(&self) -> watch::Receiver<Published> {
        self.inner.sync.published()
    }

    /// Calls `listener` with the changes of each group of transactions, in order, once they are durable and
    /// their positions readable. It runs on the committing thread: it must be quick and never block.
    pub fn on_durable(&self, listener: impl Fn(&[Change]) + Send + Sync + 'static) {
        self.inner.sync.listen(Box::new(listener));
    }

    /// A view that later writes don't change.
    pub fn snapshot(&self) -> Snapshot<'_> {
        Snapshot { reader: self.inner.engine.snapshot() }
    }

    pub(super) fn short_id_cached(&self, kind: ShortIdKind, text: &str) -> Option<u64> {
        self.inner.short_ids.by_text.get(kind.index())?.get(text)
    }
}

impl Read for Storage {
    fn raw_get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.inner.engine.get(family, key)?)
    }

    fn raw_multi_get(&self, family: Family, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        multi_get(self.inner.engine.as_ref(), family, keys)
    }

    fn raw_scan(
        &self,
        family: Family,
        lower: &[u8],
        upper: Option<&[u8]>,
        direction: Direction,
    ) -> RowIterator<'_> {
        self.inner.engine.scan(family, lower, upper, direction)
    }

    fn short_id(&self, kind: ShortIdKind, text: &str) -> Result<Option<u64>, StorageError> {
        if let Some(short) = self.short_id_cached(kind, text) {
            return Ok(Some(short));
        }
        let short = self.get(&tables::SHORT_IDS, &(kind as u8, text.to_owned()))?;
        if let (Some(short), Some(cache)) = (short, self.inner.short_ids.by_text.get(kind.index())) {
            cache.insert(text.into(), short);
        }
        Ok(short)
    }

    fn short_id_text(&self, kind: ShortIdKind, short: u64) -> Result<Option<String>, StorageError> {
        let cache = self.inner.short_ids.by_number.get(kind.index());
        if let Some(text) = cache.and_then(|cache| cache.get(&short)) {
            return Ok(Some(text.as_ref().to_owned()));
        }
        let text = self.get(&tables::SHORT_ID_TEXTS, &(kind as u8, short))?;
        if let (Some(text), Some(cache)) = (&text, cache) {
            cache.insert(short, text.as_str().into());
        }
        Ok(text)
    }
}

/// Splits a multi-get so that one call's memory is bounded.
fn multi_get(
    reader: &(impl RowReader + ?Sized),
    family: Family,
    keys: &[Vec<u8>],
) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
    let mut values = Vec::with_capacity(keys.len());
    for chunk in keys.chunks(limits::MULTI_GET_KEYS_MAX) {
        values.extend(reader.multi_get(family, chunk)?);
    }
    Ok(values)
}

/// A view of the database that later writes don't change.
pub struct Snapshot<'a> {
    reader: Box<dyn RowReader + 'a>,
}

impl Read for Snapshot<'_> {
    fn raw_get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.reader.get(family, key)?)
    }

    fn raw_multi_get(&self, family: Family, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        multi_get(self.reader.as_ref(), family, keys)
    }

    fn raw_scan(
        &self,
        family: Family,
        lower: &[u8],
        upper: Option<&[u8]>,
        direction: Direction,
    ) -> RowIterator<'_> {
        self.reader.scan(family, lower, upper, direction)
    }
}

#[derive(Clone)]
struct TextWeight;

impl Weighter<Box<str>, u64> for TextWeight {
    fn weight(&self, text: &Box<str>, _short: &u64) -> u64 {
        text.len() as u64 + limits::SHORT_ID_CACHE_ENTRY_BYTES
    }
}

impl Weighter<u64, Arc<str>> for TextWeight {
    fn weight(&self, _short: &u64, text: &Arc<str>) -> u64 {
        text.len() as u64 + limits::SHORT_ID_CACHE_ENTRY_BYTES
    }
}

/// Short ids of applied rows, both ways, bounded by bytes.
struct ShortIdCaches {
    by_text: [Cache<Box<str>, u64, TextWeight>; ShortIdKind::COUNT],
    by_number: [Cache<u64, Arc<str>, TextWeight>; ShortIdKind::COUNT],
}

impl ShortIdCaches {
    fn new(bytes: u64) -> Self {
        let share = bytes / (2 * ShortIdKind::COUNT as u64);
        let entries = usize::try_from(share / 128).unwrap_or(usize::MAX).max(16);
        Self {
            by_text: std::array::from_fn(|_| Cache::with_weighter(entries, share, TextWeight)),
            by_number: std::array::from_fn(|_| Cache::with_weighter(entries, share, TextWeight)),
        }
    }
}

/// The counters as they stand on disk.
pub(super) fn counters_from(
    mut get: impl FnMut(u8) -> Result<Option<u64>, StorageError>,
) -> Result<Counters, StorageError> {
    let mut counters = Counters { position: get(POSITION_COUNTER)?.unwrap_or(0), ..Counters::default() };
    for (number, counter) in (1_u8..).zip(&mut counters.short_ids) {
        *counter = get(number)?.unwrap_or(0);
    }
    Ok(counters)
}
