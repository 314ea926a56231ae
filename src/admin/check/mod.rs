//! `conduit check`: is everything on disk whole, and does it agree?
//!
//! Walks all tables, decodes every row, and verifies what rows say of each other: short ids both ways, events'
//! ids and hashes, timelines, states, memberships and their counts, the order of changes,
//! keys and messages of devices. With repair it
//! rebuilds what can be derived from the events. It needs the database for itself: the server must be stopped.

mod chains;
mod directory;
mod encryption;
mod events;
mod media;
mod memberships;
mod report;
mod rooms;
mod rows;
mod scheduled;
mod search;
mod servers;
mod sessions;
#[cfg(test)]
mod tests;

pub use report::Report;

use crate::{
    rooms::{EventStore, RoomError, RoomIndex, RoomStates},
    storage::Storage,
};

/// What the checks read with.
struct Checker<'a> {
    storage: &'a Storage,
    index: RoomIndex,
    events: EventStore,
    states: RoomStates,
    server_name: &'a ruma::ServerName,
}

/// Bytes for the caches of a check: it reads each thing once or twice, so little helps.
const CACHE_BYTES: u64 = 4 << 20;

/// Checks the whole database of the server called `server_name`. With `repair`, rows that are derived from the
/// events (memberships, member counts, the order of changes) are rebuilt where they disagree.
pub fn run(storage: &Storage, server_name: &ruma::ServerName, repair: bool) -> Result<Report, RoomError> {
    let index = RoomIndex::new(storage.clone());
    let events = EventStore::new(storage.clone(), index.clone(), CACHE_BYTES);
    let states = RoomStates::new(storage.clone(), usize::try_from(CACHE_BYTES).unwrap_or(usize::MAX));
    let checker = Checker { storage, index, events, states, server_name };
    let mut report = Report::default();
    checker.check_rows(&mut report)?;
    checker.check_short_ids(&mut report)?;
    checker.check_events(&mut report)?;
    checker.check_chains(&mut report)?;
    checker.check_rooms(&mut report)?;
    checker.check_memberships(&mut report, repair)?;
    checker.check_media(&mut report)?;
    checker.check_encryption(&mut report)?;
    checker.check_sessions(&mut report)?;
    checker.check_scheduled(&mut report)?;
    checker.check_directory(&mut report)?;
    checker.check_search(&mut report)?;
    Ok(report)
}
