//! The RocksDB engine.
//!
//! One block cache and one write-buffer manager serve all families, so that memory is bounded by bytes
//! whatever the number of families. The log is recovered up to the first torn record: everything synced
//! lies before it.

use std::{
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, DBRecoveryMode,
    Direction as RocksDirection, IteratorMode, LogLevel, Options, ReadOptions, WriteBatch,
    WriteBufferManager, WriteOptions,
};

use super::{
    engine::{Direction, Engine, EngineError, Family, RowIterator, RowReader, RowWrite},
    error::StorageError,
    free_space::FreeSpace,
    limits,
};

/// How the memory budget is shared out, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryShares {
    /// RocksDB's block cache, which also holds index and filter blocks.
    pub block_cache: usize,
    /// All memtables together.
    pub memtables: usize,
    /// Decoded state tree nodes.
    pub state_nodes: u64,
    /// Identifiers and their short ids.
    pub short_ids: u64,
    /// Parsed events.
    pub events: u64,
    /// What sliding sync remembers of connections and of the order of users' rooms.
    pub sliding_sync: u64,
}

impl MemoryShares {
    /// Shares of a budget: nearly half to blocks, a quarter to memtables, the rest to our own caches.
    pub fn of(budget_bytes: u64) -> Self {
        let part = |sixteenths: u64| budget_bytes / 16 * sixteenths;
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Self {
            block_cache: size(part(7)),
            memtables: size(part(4)),
            state_nodes: part(1),
            short_ids: part(1),
            events: part(2),
            sliding_sync: part(1),
        }
    }
}

/// RocksDB in a folder.
pub struct RocksEngine {
    db: DB,
    free_space: FreeSpace,
    path: PathBuf,
}

impl RocksEngine {
    /// Opens or makes the database.
    pub fn open(path: &Path, shares: &MemoryShares) -> Result<Self, StorageError> {
        // For its owner alone: it holds the signing key, and what people wrote.
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|e| EngineError::Other(format!("can't make the folder {}: {e}", path.display())))?;
        let cache = Cache::new_lru_cache(shares.block_cache);
        let buffers = WriteBufferManager::new_write_buffer_manager(shares.memtables, false);
        let options = database_options(shares, &buffers);
        let families = Family::ALL
            .map(|family| ColumnFamilyDescriptor::new(family.name(), family_options(family, shares, &cache)));
        let db = DB::open_cf_descriptors(&options, path, families).map_err(|e| open_error(path, &e))?;
        Ok(Self { db, free_space: FreeSpace::new(path), path: path.to_owned() })
    }

    /// Whether a folder holds a database: RocksDB's file that names its manifest.
    pub fn exists_in(path: &Path) -> bool {
        path.join("CURRENT").is_file()
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn family(&self, family: Family) -> Result<&ColumnFamily, EngineError> {
        self.db
            .cf_handle(family.name())
            .ok_or_else(|| EngineError::Other(format!("the family {} is not open", family.name())))
    }
}

fn database_options(shares: &MemoryShares, buffers: &WriteBufferManager) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_write_buffer_manager(buffers);
    options.set_max_open_files(limits::OPEN_FILES_MAX);
    // Two background threads, whatever the number of cores: one flush beside one compaction.
    options.set_max_background_jobs(2);
    // A torn tail after a power cut ends recovery quietly; all that was synced lies before it.
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    // Bounds the log, and so the time that a restart takes.
    options.set_max_total_wal_size((shares.memtables as u64).saturating_mul(2));
    options.set_manifest_preallocation_size(64 << 10);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(1 << 20);
    options.set_log_level(LogLevel::Warn);
    options.set_stats_dump_period_sec(0);
    options.set_bytes_per_sync(1 << 20);
    options
}

fn family_options(family: Family, shares: &MemoryShares, cache: &Cache) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    table.set_format_version(6);
    table.set_ribbon_filter(10.0);
    table.set_optimize_filters_for_memory(true);
    // Events and nodes are read one by one: small blocks cost a card fewer bytes a read.
    table.set_block_size(if matches!(family, Family::Events) { 16 << 10 } else { 4 << 10 });

    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    // The write-buffer manager's total decides; this only keeps one family from taking it all.
    let buffer = (shares.memtables / 2).clamp(1 << 20, 32 << 20);
    options.set_write_buffer_size(buffer);
    options.set_arena_block_size(64 << 10);
    options.set_max_write_buffer_number(2);
    options.set_target_file_size_base(16 << 20);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_bottommost_compression_type(DBCompressionType::Zstd);
    if family == Family::Events {
        // Events look alike: a dictionary for each file halves them again.
        options.set_bottommost_compression_options(-14, 3, 0, 16 << 10, true);
        options.set_bottommost_zstd_max_train_bytes(100 * (16 << 10), true);
    }
    options
}

fn open_error(path: &Path, error: &rocksdb::Error) -> StorageError {
    let text = error.to_string();
    if text.contains("While lock file") || text.contains("lock hold by current process") {
        return StorageError::InUse(path.display().to_string());
    }
    StorageError::Engine(EngineError::Other(format!("can't open the database in {}: {text}", path.display())))
}

fn failed(error: rocksdb::Error) -> EngineError {
    EngineError::Other(error.into_string())
}

fn read_options(lower: &[u8], upper: Option<&[u8]>) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_iterate_lower_bound(lower);
    if let Some(upper) = upper {
        options.set_iterate_upper_bound(upper);
    }
    options
}

/// Where a scan starts; the bounds end it.
fn mode<'a>(lower: &'a [u8], upper: Option<&'a [u8]>, direction: Direction) -> IteratorMode<'a> {
    match (direction, upper) {
        (Direction::Forward, _) => IteratorMode::From(lower, RocksDirection::Forward),
        (Direction::Backward, Some(upper)) => IteratorMode::From(upper, RocksDirection::Reverse),
        (Direction::Backward, None) => IteratorMode::End,
    }
}

impl RowReader for RocksEngine {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.db.get_cf(self.family(family)?, key).map_err(failed)
    }

    fn multi_get(&self, family: Family, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, EngineError> {
        let family = self.family(family)?;
        self.db
            .batched_multi_get_cf(family, keys, false)
            .into_iter()
            .map(|value| Ok(value.map_err(failed)?.map(|value| value.to_vec())))
            .collect()
    }

    fn scan(
        &self,
        family: Family,
        lower: &[u8],
        upper: Option<&[u8]>,
        direction: Direction,
    ) -> RowIterator<'_> {
        let family = match self.family(family) {
            Ok(family) => family,
            Err(e) => return Box::new(std::iter::once(Err(e))),
        };
        if upper.is_some_and(|upper| upper <= lower) {
            return Box::new(std::iter::empty());
        }
        let options = read_options(lower, upper);
        let rows = self.db.iterator_cf_opt(family, options, mode(lower, upper, direction));
        Box::new(rows.map(|row| row.map_err(failed)))
    }
}

impl Engine for RocksEngine {
    fn write(&self, batch: &mut dyn Iterator<Item = RowWrite<'_>>) -> Result<(), EngineError> {
        self.free_space.check()?;
        let mut writes = WriteBatch::default();
        for RowWrite { family, key, value } in batch {
            let family = self.family(family)?;
            match value {
                Some(value) => writes.put_cf(family, key, value),
                None => writes.delete_cf(family, key),
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(false);
        self.db.write_opt(writes, &options).map_err(failed)
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.db.flush_wal(true).map_err(failed)
    }

    fn snapshot(&self) -> Box<dyn RowReader + '_> {
        Box::new(RocksSnapshot { engine: self, snapshot: self.db.snapshot() })
    }
}

struct RocksSnapshot<'a> {
    engine: &'a RocksEngine,
    snapshot: rocksdb::Snapshot<'a>,
}

impl RowReader for RocksSnapshot<'_> {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.snapshot.get_cf(self.engine.family(family)?, key).map_err(failed)
    }

    fn multi_get(&self, family: Family, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, EngineError> {
        let family = self.engine.family(family)?;
        let values = self.snapshot.multi_get_cf(keys.iter().map(|key| (family, key)));
        values.into_iter().map(|value| value.map_err(failed)).collect()
    }

    fn scan(
        &self,
        family: Family,
        lower: &[u8],
        upper: Option<&[u8]>,
        direction: Direction,
    ) -> RowIterator<'_> {
        let family = match self.engine.family(family) {
            Ok(family) => family,
            Err(e) => return Box::new(std::iter::once(Err(e))),
        };
        if upper.is_some_and(|upper| upper <= lower) {
            return Box::new(std::iter::empty());
        }
        let options = read_options(lower, upper);
        let rows = self.snapshot.iterator_cf_opt(family, options, mode(lower, upper, direction));
        Box::new(rows.map(|row| row.map_err(failed)))
    }
}
