//! The servers that this one shares rooms with or has to do with otherwise, for its administrators.

use std::collections::BTreeMap;

use ruma::{OwnedRoomId, OwnedServerName, ServerName};

use super::Backoff;
use crate::storage::{
    Direction, Json, Read, Storage, StorageError,
    records::DestinationFailures,
    tables::{DESTINATIONS, ROOM_NEWEST_SENT, SERVER_ROOMS},
};

/// Another server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Its name.
    pub server: OwnedServerName,
    /// If it could not be reached: how often, since when, and until when it is left alone.
    pub failures: Option<DestinationFailures>,
    /// Everything up to this position was delivered; `None` where nothing waits.
    pub delivered: Option<u64>,
}

/// Lists them. Cheap to clone; walks the servers of all rooms.
#[derive(Debug, Clone)]
pub struct Destinations {
    storage: Storage,
    backoff: Backoff,
    own: OwnedServerName,
}

impl Destinations {
    /// The service of the server called `own`.
    pub fn new(storage: Storage, backoff: Backoff, own: OwnedServerName) -> Self {
        Self { storage, backoff, own }
    }

    /// All servers, by name.
    pub fn all(&self) -> Result<Vec<Destination>, StorageError> {
        let mut found = BTreeMap::new();
        let mut last = None;
        for row in self.storage.scan(&SERVER_ROOMS, &SERVER_ROOMS.all(), Direction::Forward) {
            let ((server, _), ()) = row?;
            if last.replace(server) != Some(server) {
                found.insert(self.storage.server_name(server)?, None);
            }
        }
        for row in self.storage.scan(&DESTINATIONS, &DESTINATIONS.all(), Direction::Forward) {
            let (server, Json(row)) = row?;
            found.insert(self.storage.server_name(server)?, Some(row.delivered));
        }
        let mut failing: BTreeMap<_, _> =
            self.backoff.failing().into_iter().map(|failing| (failing.server, failing.failures)).collect();
        for server in failing.keys() {
            found.entry(server.clone()).or_insert(None);
        }
        found.remove(&self.own);
        let destination = |(server, delivered)| {
            let failures = failing.remove(&server);
            Destination { server, failures, delivered }
        };
        Ok(found.into_iter().map(destination).collect())
    }

    /// One server.
    pub fn get(&self, server: &ServerName) -> Result<Option<Destination>, StorageError> {
        Ok(self.all()?.into_iter().find(|destination| destination.server == server))
    }

    /// The rooms that a server is in, each with the position of its newest event for other servers; `None` for a
    /// server that was never heard of.
    pub fn rooms(&self, server: &ServerName) -> Result<Option<Vec<(OwnedRoomId, u64)>>, StorageError> {
        let Some(short) = self.storage.short_server_id(server)? else { return Ok(None) };
        let mut rooms = Vec::new();
        let range = SERVER_ROOMS.prefix(&(short,));
        for row in self.storage.scan(&SERVER_ROOMS, &range, Direction::Forward) {
            let ((_, room), ()) = row?;
            let newest = self.storage.get(&ROOM_NEWEST_SENT, &room)?.map_or(0, |(position, _)| position.0);
            rooms.push((self.storage.room_id(room)?, newest));
        }
        rooms.sort();
        Ok(Some(rooms))
    }
}
