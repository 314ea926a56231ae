//! The schema version: an older program refuses a newer database.

use super::{
    codec::Key,
    database::counters_from,
    engine::{Engine, RowWrite},
    error::StorageError,
    tables,
    transaction::Counters,
    value::Value,
};

/// The version of the tables that this program writes. A change of the tables raises it and brings a
/// migration.
pub const SCHEMA_VERSION: u64 = 1;

/// Accepts a database of our version, marks an empty one with it, and refuses a newer one.
pub(super) fn check(engine: &dyn Engine) -> Result<(), StorageError> {
    let table = &tables::SCHEMA;
    let key = table.key_bytes(&());
    match engine.get(table.info.family, &key)? {
        None => {
            let value = SCHEMA_VERSION.to_value();
            let row = RowWrite { family: table.info.family, key: &key, value: Some(&value) };
            engine.write(&mut std::iter::once(row))?;
            engine.sync()?;
            Ok(())
        }
        Some(bytes) => {
            let found = u64::from_value(&bytes)
                .map_err(|source| StorageError::Corrupt { table: table.info.name, source })?;
            if found > SCHEMA_VERSION {
                return Err(StorageError::NewerSchema { found, known: SCHEMA_VERSION });
            }
            Ok(())
        }
    }
}

/// The numbers last handed out.
pub(super) fn read_counters(engine: &dyn Engine) -> Result<Counters, StorageError> {
    let table = &tables::COUNTERS;
    counters_from(|number| {
        engine
            .get(table.info.family, &table.key_bytes(&number))?
            .map(|bytes| {
                u64::from_bytes(&bytes)
                    .map_err(|source| StorageError::Corrupt { table: table.info.name, source })
            })
            .transpose()
    })
}
