//! The schema version: a program refuses a database that was written by another version of the tables.

use std::cmp::Ordering;

use super::{
    codec::Key,
    database::counters_from,
    engine::{Direction, Engine, RowWrite},
    error::StorageError,
    tables,
    transaction::Counters,
    value::Value,
};

/// The version of the tables that this program writes. A change of the tables raises it and, from the first
/// release on, brings a migration.
///
/// 2: the chain-cover index has one row an event, with its links.
pub const SCHEMA_VERSION: u64 = 2;

/// Accepts a database of our version, marks one without rooms with it, and refuses others.
pub(super) fn check(engine: &dyn Engine) -> Result<(), StorageError> {
    let table = &tables::SCHEMA;
    let key = table.key_bytes(&());
    match engine.get(table.info.family, &key)? {
        None => mark(engine),
        Some(bytes) => {
            let found = u64::from_value(&bytes)
                .map_err(|source| StorageError::Corrupt { table: table.info.name, source })?;
            match found.cmp(&SCHEMA_VERSION) {
                Ordering::Greater => Err(StorageError::NewerSchema { found, known: SCHEMA_VERSION }),
                Ordering::Equal => Ok(()),
                // What changed since are rows of rooms.
                Ordering::Less if !has_rooms(engine)? => mark(engine),
                Ordering::Less => Err(StorageError::OlderSchema { found, known: SCHEMA_VERSION }),
            }
        }
    }
}

/// Notes that the database is of our version.
fn mark(engine: &dyn Engine) -> Result<(), StorageError> {
    let (table, value) = (&tables::SCHEMA, SCHEMA_VERSION.to_value());
    let row = RowWrite { family: table.info.family, key: &table.key_bytes(&()), value: Some(&value) };
    engine.write(&mut std::iter::once(row))?;
    engine.sync()?;
    Ok(())
}

fn has_rooms(engine: &dyn Engine) -> Result<bool, StorageError> {
    let (table, range) = (&tables::ROOMS, tables::ROOMS.all());
    let mut rows = engine.scan(table.info.family, &range.lower, range.upper.as_deref(), Direction::Forward);
    Ok(rows.next().transpose()?.is_some())
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
