//! What can go wrong in the store.

use super::{codec::CodecError, engine::EngineError};

/// An error of the store.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// The engine could not read or write.
    #[error("the storage engine failed: {0}")]
    Engine(#[from] EngineError),
    /// A row's bytes are not what its table says.
    #[error("a row of table {table} is corrupt: {source}")]
    Corrupt {
        /// The table's name.
        table: &'static str,
        /// What is wrong with the bytes.
        source: CodecError,
    },
    /// A row that another row refers to is missing.
    #[error("table {table} has no row for {key}, which another row refers to")]
    Missing {
        /// The table's name.
        table: &'static str,
        /// The key looked for, for people.
        key: String,
    },
    /// The fsync that should have made writes durable failed; they were not acknowledged.
    #[error("writes could not be made durable: {0}")]
    NotDurable(String),
    /// The database was written by a newer version of this program.
    #[error(
        "the database has schema version {found}, this program knows up to {known}: start the newer version \
         again, or restore the backup made before the update"
    )]
    NewerSchema {
        /// The version found.
        found: u64,
        /// The newest version known.
        known: u64,
    },
    /// The database was written by an earlier version of this program than the first release.
    #[error(
        "the database has schema version {found} of before the first release, and this program reads {known}: \
         start with an empty folder, or go on with the older version"
    )]
    OlderSchema {
        /// The version found.
        found: u64,
        /// The version of this program.
        known: u64,
    },
    /// Another process has the database open.
    #[error("the folder {0} is in use by another process: stop that one first")]
    InUse(String),
}

impl StorageError {
    /// True when the disk (or quota) is full, so that the caller may answer with a hint to the operator.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Engine(EngineError::Full { .. }))
    }
}
