//! The queue on disk: PDUs that wait to be worked off, and what of it is known in memory.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use ruma::{OwnedRoomId, OwnedServerName, RoomId, ServerName};

use super::limits;
use crate::storage::{Direction, Read, Storage, StorageError, records::InboundPduRow, tables::INBOUND_PDUS};

/// A row's room, sender and number.
pub(super) type Place = (OwnedRoomId, OwnedServerName, u64);

/// The queue.
pub(super) struct Queue {
    storage: Storage,
    known: Mutex<Known>,
}

/// What is known of the rows.
#[derive(Default)]
struct Known {
    last_number: u64,
    rows: usize,
    bytes: usize,
    bytes_of: HashMap<OwnedServerName, usize>,
    /// What an earlier process left, in the order of arrival.
    left: Vec<Place>,
}

impl Known {
    /// Takes a row into account; false if it does not fit any more.
    fn add(&mut self, origin: &ServerName, bytes: usize) -> bool {
        let of_origin = self.bytes_of.get(origin).copied().unwrap_or(0);
        if self.bytes + bytes > limits::INBOUND_QUEUE_BYTES_MAX
            || of_origin + bytes > limits::INBOUND_QUEUE_SERVER_BYTES_MAX
        {
            return false;
        }
        self.count(origin, bytes);
        true
    }

    fn count(&mut self, origin: &ServerName, bytes: usize) {
        self.rows += 1;
        self.bytes += bytes;
        *self.bytes_of.entry(origin.to_owned()).or_default() += bytes;
    }

    fn remove(&mut self, origin: &ServerName, bytes: usize) {
        self.rows = self.rows.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
        if let Some(of_origin) = self.bytes_of.get_mut(origin) {
            *of_origin = of_origin.saturating_sub(bytes);
            if *of_origin == 0 {
                self.bytes_of.remove(origin);
            }
        }
    }
}

impl Queue {
    /// Reads what is there.
    pub(super) fn load(storage: Storage) -> Result<Self, StorageError> {
        let mut known = Known::default();
        for row in storage.scan(&INBOUND_PDUS, &INBOUND_PDUS.all(), Direction::Forward) {
            let ((room_id, number), row) = row?;
            known.last_number = known.last_number.max(number);
            known.count(&row.origin, row.pdu.len());
            known.left.push((room_id, row.origin, number));
        }
        known.left.sort_by_key(|(.., number)| *number);
        Ok(Self { storage, known: Mutex::new(known) })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an earlier process left; once.
    pub(super) fn take_left(&self) -> Vec<Place> {
        std::mem::take(&mut self.known().left)
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.known().rows
    }

    /// Adds PDUs of a server, in one transaction. Answers the number of each; `None` for those that the queue
    /// has no room for.
    pub(super) fn push<'p>(
        &self,
        origin: &ServerName,
        now_ms: u64,
        pdus: impl Iterator<Item = (&'p RoomId, &'p str)>,
    ) -> Result<Vec<Option<u64>>, StorageError> {
        let mut numbers = Vec::new();
        let mut rows = Vec::new();
        for (room_id, pdu) in pdus {
            let mut known = self.known();
            if !known.add(origin, pdu.len()) {
                numbers.push(None);
                continue;
            }
            known.last_number += 1;
            numbers.push(Some(known.last_number));
            let row = InboundPduRow { origin: origin.to_owned(), arrived_ms: now_ms, pdu: pdu.into() };
            rows.push(((room_id.to_owned(), known.last_number), row));
        }
        let written = self.storage.write(|transaction| {
            for (key, row) in &rows {
                transaction.put(&INBOUND_PDUS, key, row);
            }
            Ok::<_, StorageError>(())
        });
        if let Err(error) = written {
            let mut known = self.known();
            for (_, row) in &rows {
                known.remove(origin, row.pdu.len());
            }
            return Err(error);
        }
        Ok(numbers)
    }

    /// A PDU that waits.
    pub(super) fn get(&self, room_id: &RoomId, number: u64) -> Result<Option<InboundPduRow>, StorageError> {
        self.storage.get(&INBOUND_PDUS, &(room_id.to_owned(), number))
    }

    /// Takes a PDU off that has been worked off.
    pub(super) fn remove(&self, room_id: &RoomId, number: u64) -> Result<(), StorageError> {
        let key = (room_id.to_owned(), number);
        let row = self.storage.write(|transaction| {
            let row = transaction.get(&INBOUND_PDUS, &key)?;
            transaction.delete(&INBOUND_PDUS, &key);
            Ok::<_, StorageError>(row)
        })?;
        if let Some(row) = row {
            self.known().remove(&row.origin, row.pdu.len());
        }
        Ok(())
    }
}
