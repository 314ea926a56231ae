//! A table: a name, a key type and a value type over a part of a family.

use std::marker::PhantomData;

use super::{
    codec::{Key, KeyPrefix},
    engine::Family,
};

/// What can be said of a table without its types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableInfo {
    /// The number that each of its keys starts with. Never reused.
    pub number: u8,
    /// The name, for people.
    pub name: &'static str,
    /// The family that it lives in.
    pub family: Family,
    /// A line on what its rows say.
    pub purpose: &'static str,
}

/// A table with keys `K` and values `V`. See [`tables`](super::tables) for the list.
#[derive(Debug)]
pub struct Table<K, V> {
    /// Number, name, family, purpose.
    pub info: TableInfo,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Table<K, V> {
    pub(super) const fn new(info: TableInfo) -> Self {
        Self { info, types: PhantomData }
    }
}

impl<K: Key, V> Table<K, V> {
    /// The bytes of a key in this table's family.
    pub(super) fn key_bytes(&self, key: &impl Key) -> Vec<u8> {
        let mut out = Vec::with_capacity(40);
        out.push(self.info.number);
        key.encode(&mut out);
        out
    }

    /// All rows.
    pub fn all(&self) -> KeyRange {
        self.prefix(&())
    }

    /// The rows whose key starts with `prefix`.
    pub fn prefix(&self, prefix: &impl KeyPrefix<K>) -> KeyRange {
        let lower = self.key_bytes(prefix);
        let upper = successor(&lower);
        KeyRange { lower, upper }
    }

    /// The rows with `from <= key`, to the end of the table.
    pub fn from(&self, from: &K) -> KeyRange {
        KeyRange { lower: self.key_bytes(from), upper: successor(&[self.info.number]) }
    }

    /// The rows with `from <= key < until`.
    pub fn between(&self, from: &K, until: &K) -> KeyRange {
        KeyRange { lower: self.key_bytes(from), upper: Some(self.key_bytes(until)) }
    }

    /// The rows that start with `prefix` and have `from <= key`.
    pub fn prefix_from(&self, prefix: &impl KeyPrefix<K>, from: &K) -> KeyRange {
        KeyRange { lower: self.key_bytes(from), upper: self.prefix(prefix).upper }
    }

    /// The rows that start with `prefix` and have `key < until`.
    pub fn prefix_until(&self, prefix: &impl KeyPrefix<K>, until: &K) -> KeyRange {
        KeyRange { lower: self.key_bytes(prefix), upper: Some(self.key_bytes(until)) }
    }
}

/// A range of a table's keys, made by the table's methods: `lower <= key < upper`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    pub(super) lower: Vec<u8>,
    pub(super) upper: Option<Vec<u8>>,
}

/// The smallest byte string above all that start with `prefix`; `None` when there is none.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != 0xff)?;
    let mut next = prefix.get(..=last)?.to_vec();
    *next.last_mut()? += 1;
    Some(next)
}

#[cfg(test)]
mod tests {
    use super::successor;

    #[test]
    fn successor_carries_over_full_bytes() {
        assert_eq!(successor(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(successor(&[1, 0xff, 0xff]), Some(vec![2]));
        assert_eq!(successor(&[0xff]), None);
    }
}
