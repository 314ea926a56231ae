//! One fact's writes.

use std::collections::BTreeMap;

use ruma::{EventId, RoomId, ServerName, UserId};

use super::{
    changes::{Change, ChangeScope},
    codec::Key,
    engine::{Direction, EngineError, Family, Row, RowIterator, RowWrite},
    error::StorageError,
    read::Read,
    short_ids::{
        ShortEventId, ShortIdKind, ShortRoomId, ShortServerId, ShortStateKeyId, ShortUserId, StreamPosition,
        state_key_text,
    },
    table::Table,
    tables,
    value::Value,
};
use crate::storage::database::Storage;

/// The number of the stream position's row in the counters table; short ids use their kind's number.
pub(super) const POSITION_COUNTER: u8 = 0;

/// The numbers last handed out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) short_ids: [u64; ShortIdKind::COUNT],
    pub(super) position: u64,
}

/// Reads and writes that are applied together or not at all. Reads see the transaction's own writes and all
/// that was applied before it began; no other transaction runs meanwhile.
pub struct Transaction<'a> {
    storage: &'a Storage,
    writes: [BTreeMap<Vec<u8>, Option<Vec<u8>>>; Family::ALL.len()],
    counters_before: Counters,
    counters: Counters,
    changes: Vec<Change>,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(storage: &'a Storage, counters: Counters) -> Self {
        Self { storage, writes: Default::default(), counters_before: counters, counters, changes: Vec::new() }
    }

    /// Sets a row.
    pub fn put<K: Key, V: Value>(&mut self, table: &Table<K, V>, key: &K, value: &V) {
        self.write(table.info.family, table.key_bytes(key), Some(value.to_value()));
    }

    /// Removes a row; it need not exist.
    pub fn delete<K: Key, V>(&mut self, table: &Table<K, V>, key: &K) {
        self.write(table.info.family, table.key_bytes(key), None);
    }

    fn write(&mut self, family: Family, key: Vec<u8>, value: Option<Vec<u8>>) {
        if let Some(writes) = self.writes.get_mut(family as usize) {
            writes.insert(key, value);
        }
    }

    /// Hands out the next stream position. Readers see it, and everything in this transaction, at once and
    /// never before all smaller positions.
    pub fn next_position(&mut self) -> StreamPosition {
        self.counters.position += 1;
        StreamPosition(self.counters.position)
    }

    /// Tells those who wait for news in `scope`, once this transaction is durable.
    pub fn announce(&mut self, scope: ChangeScope, position: StreamPosition) {
        self.changes.push(Change { position, scope });
    }

    /// The short id of a room, new if need be.
    pub fn intern_room(&mut self, room: &RoomId) -> Result<ShortRoomId, StorageError> {
        self.intern(ShortIdKind::Room, room.as_str()).map(ShortRoomId)
    }

    /// The short id of an event, new if need be.
    pub fn intern_event(&mut self, event: &EventId) -> Result<ShortEventId, StorageError> {
        self.intern(ShortIdKind::Event, event.as_str()).map(ShortEventId)
    }

    /// The short id of a user, new if need be.
    pub fn intern_user(&mut self, user: &UserId) -> Result<ShortUserId, StorageError> {
        self.intern(ShortIdKind::User, user.as_str()).map(ShortUserId)
    }

    /// The short id of a server, new if need be.
    pub fn intern_server(&mut self, server: &ServerName) -> Result<ShortServerId, StorageError> {
        self.intern(ShortIdKind::Server, server.as_str()).map(ShortServerId)
    }

    /// The short id of an event type and state key, new if need be.
    pub fn intern_state_key(
        &mut self,
        event_type: &str,
        state_key: &str,
    ) -> Result<ShortStateKeyId, StorageError> {
        if event_type == "m.room.member" {
            let user = self.intern(ShortIdKind::User, state_key)?;
            return Ok(ShortStateKeyId::member(ShortUserId(user)));
        }
        self.intern(ShortIdKind::StateKey, &state_key_text(event_type, state_key)).map(ShortStateKeyId)
    }

    fn intern(&mut self, kind: ShortIdKind, text: &str) -> Result<u64, StorageError> {
        if let Some(short) = self.short_id(kind, text)? {
            return Ok(short);
        }
        let Some(counter) = self.counters.short_ids.get_mut(kind.index()) else {
            unreachable!("a kind's counter")
        };
        *counter += 1;
        let short = *counter;
        self.put(&tables::SHORT_IDS, &(kind as u8, text.to_owned()), &short);
        self.put(&tables::SHORT_ID_TEXTS, &(kind as u8, short), &text.to_owned());
        Ok(short)
    }

    /// Ends the transaction's work: adds the counters that moved.
    pub(super) fn finish(mut self) -> FinishedTransaction {
        let (before, after) = (self.counters_before, self.counters);
        if before.position != after.position {
            self.put(&tables::COUNTERS, &POSITION_COUNTER, &after.position);
        }
        for (number, (old, new)) in (1_u8..).zip(before.short_ids.into_iter().zip(after.short_ids)) {
            if old != new {
                self.put(&tables::COUNTERS, &number, &new);
            }
        }
        FinishedTransaction { writes: self.writes, counters: after, changes: self.changes }
    }
}

/// A transaction's outcome, ready to be applied.
pub(super) struct FinishedTransaction {
    writes: [BTreeMap<Vec<u8>, Option<Vec<u8>>>; Family::ALL.len()],
    pub(super) counters: Counters,
    pub(super) changes: Vec<Change>,
}

impl FinishedTransaction {
    pub(super) fn is_empty(&self) -> bool {
        self.writes.iter().all(BTreeMap::is_empty)
    }

    /// The rows written.
    pub(super) fn rows(&self) -> impl Iterator<Item = RowWrite<'_>> {
        Family::ALL.into_iter().zip(&self.writes).flat_map(|(family, writes)| {
            writes.iter().map(move |(key, value)| RowWrite { family, key, value: value.as_deref() })
        })
    }
}

impl Read for Transaction<'_> {
    fn raw_get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        match self.writes.get(family as usize).and_then(|writes| writes.get(key)) {
            Some(value) => Ok(value.clone()),
            None => self.storage.raw_get(family, key),
        }
    }

    fn raw_multi_get(&self, family: Family, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        keys.iter().map(|key| self.raw_get(family, key)).collect()
    }

    fn raw_scan(
        &self,
        family: Family,
        lower: &[u8],
        upper: Option<&[u8]>,
        direction: Direction,
    ) -> RowIterator<'_> {
        let stored = self.storage.raw_scan(family, lower, upper, direction);
        let Some(writes) = self.writes.get(family as usize).filter(|writes| !writes.is_empty()) else {
            return stored;
        };
        if upper.is_some_and(|upper| upper <= lower) {
            return Box::new(std::iter::empty());
        }
        let upper = upper.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let own = writes.range::<[u8], _>((std::ops::Bound::Included(lower), upper));
        let own: OwnWrites<'_> = match direction {
            Direction::Forward => Box::new(own),
            Direction::Backward => Box::new(own.rev()),
        };
        Box::new(MergedRows { stored: stored.peekable(), own: own.peekable(), direction })
    }

    fn short_id(&self, kind: ShortIdKind, text: &str) -> Result<Option<u64>, StorageError> {
        // The cache holds only applied rows, and a short id never changes.
        if let Some(short) = self.storage.short_id_cached(kind, text) {
            return Ok(Some(short));
        }
        self.get(&tables::SHORT_IDS, &(kind as u8, text.to_owned()))
    }
}

type OwnWrites<'a> = Box<dyn Iterator<Item = (&'a Vec<u8>, &'a Option<Vec<u8>>)> + 'a>;

/// The stored rows with the transaction's own writes laid over them.
struct MergedRows<'a> {
    stored: std::iter::Peekable<RowIterator<'a>>,
    own: std::iter::Peekable<OwnWrites<'a>>,
    direction: Direction,
}

impl Iterator for MergedRows<'_> {
    type Item = Result<Row, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let order = match (self.stored.peek(), self.own.peek()) {
                (None, None) => return None,
                (Some(Err(_)), _) | (Some(_), None) => return self.stored.next(),
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(Ok((stored, _))), Some((own, _))) => {
                    let order = stored.as_ref().cmp(own.as_slice());
                    if self.direction == Direction::Forward { order } else { order.reverse() }
                }
            };
            if order.is_lt() {
                return self.stored.next();
            }
            if order.is_eq() {
                self.stored.next();
            }
            if let Some((key, Some(value))) = self.own.next() {
                return Some(Ok((key.as_slice().into(), value.as_slice().into())));
            }
        }
    }
}
