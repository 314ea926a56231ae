//! The store: an engine behind a small trait, typed tables, and transactions.
//!
//! All that the server keeps goes through [`Storage`]: reads see what has been applied, and a write is
//! one [`Transaction`] that becomes visible as a whole or not at all. Transactions run one after the
//! other, so what one reads cannot change under it, and short ids and stream positions are handed out
//! inside it. Applied is not yet durable: [`Storage::durable`] waits for the fsync that serves everything
//! applied before it (group commit), and the edge of the server awaits it before any request that may
//! have written is answered.
//!
//! This module knows rows, not rooms or users: what a table's rows mean is said in [`tables`].

mod changes;
mod codec;
mod database;
mod engine;
mod error;
mod free_space;
pub mod limits;
mod memory;
mod read;
pub mod records;
#[cfg(test)]
mod recovery_tests;
mod rocks;
mod schema;
mod short_ids;
mod sync_thread;
mod table;
pub mod tables;
#[cfg(test)]
mod tests;
mod transaction;
mod value;

pub use changes::{Change, ChangeScope, DeviceTag};
pub use codec::{CodecError, Key, KeyPrefix};
pub use database::{Durability, Storage, StorageOptions};
pub use engine::{Direction, Engine, EngineError, Family, Row, RowIterator, RowReader, RowWrite};
pub use error::StorageError;
pub use memory::MemoryEngine;
pub use read::{Read, TypedRows};
pub use rocks::{MemoryShares, RocksEngine};
pub use schema::SCHEMA_VERSION;
pub use short_ids::{
    ShortEventId, ShortIdKind, ShortRoomId, ShortServerId, ShortStateKeyId, ShortUserId, StreamPosition,
    TimelineKey,
};
pub use table::{KeyRange, Table, TableInfo};
pub use transaction::Transaction;
pub use value::{Json, Value};
