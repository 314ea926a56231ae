//! What the store needs of a key-value engine, and no more: get, multi-get, range, snapshot, atomic batch,
//! sync. A distributed transactional engine can serve it later.

/// A group of tables that share memtables, files and tuning (a column family).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Family {
    /// Small rows found by point reads: short ids, room heads, settings.
    Index = 0,
    /// Event JSON: written once, read by id, compressed hard.
    Events = 1,
    /// State tree nodes: content addressed.
    State = 2,
    /// Rows scanned by range: timelines, memberships, relations.
    Timeline = 3,
    /// Accounts, devices, account data, keys.
    Users = 4,
    /// Rows ordered by stream position.
    Stream = 5,
}

impl Family {
    /// All families, in the order of their numbers.
    pub const ALL: [Self; 6] =
        [Self::Index, Self::Events, Self::State, Self::Timeline, Self::Users, Self::Stream];

    /// The name on disk.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Events => "events",
            Self::State => "state",
            Self::Timeline => "timeline",
            Self::Users => "users",
            Self::Stream => "stream",
        }
    }
}

/// Which way a range is walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Smallest key first.
    Forward,
    /// Largest key first.
    Backward,
}

/// A key and its value.
pub type Row = (Box<[u8]>, Box<[u8]>);

/// Rows of a range, each read when it is asked for.
pub type RowIterator<'a> = Box<dyn Iterator<Item = Result<Row, EngineError>> + 'a>;

/// One row's change within a batch.
#[derive(Debug, Clone, Copy)]
pub struct RowWrite<'a> {
    /// The family.
    pub family: Family,
    /// The key.
    pub key: &'a [u8],
    /// The new value; `None` deletes the row.
    pub value: Option<&'a [u8]>,
}

/// Reading, from the newest state or from a snapshot.
pub trait RowReader {
    /// The value of a key.
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError>;

    /// The values of several keys, in their order.
    fn multi_get(&self, family: Family, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, EngineError>;

    /// The rows with `lower <= key < upper` (no bound above when `None`), as of now: an iterator never
    /// sees what is written after it was made.
    fn scan(
        &self,
        family: Family,
        lower: &[u8],
        upper: Option<&[u8]>,
        direction: Direction,
    ) -> RowIterator<'_>;
}

/// A key-value engine.
pub trait Engine: RowReader + Send + Sync + 'static {
    /// Applies all writes or none. Later reads see them; they survive the end of the process (`kill -9`),
    /// and a power cut only after a [`sync`](Self::sync) that started later.
    fn write(&self, batch: &mut dyn Iterator<Item = RowWrite<'_>>) -> Result<(), EngineError>;

    /// Returns when all that was applied before the call would survive a power cut.
    fn sync(&self) -> Result<(), EngineError>;

    /// A view that later writes don't change.
    fn snapshot(&self) -> Box<dyn RowReader + '_>;
}

/// An error of the engine.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// Less free space than the reserve: nothing was written.
    #[error(
        "the disk is full: {free_bytes} bytes are free, {reserve_bytes} are kept in reserve; free some space"
    )]
    Full {
        /// Bytes free for the process.
        free_bytes: u64,
        /// Bytes never used for writes, so that reads, compaction and recovery go on.
        reserve_bytes: u64,
    },
    /// Any other failure, in the engine's words.
    #[error("{0}")]
    Other(String),
}
