//! A map that forgets what was not used for longest when it would hold more bytes than it may.

use std::collections::BTreeMap;

/// Values by key, with what each weighs.
#[derive(Debug)]
pub(super) struct ByteLru<K, V> {
    entries: BTreeMap<K, Entry<V>>,
    /// The keys in the order of their last use.
    by_use: BTreeMap<u64, K>,
    uses: u64,
    bytes: usize,
    bytes_max: usize,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    bytes: usize,
    used: u64,
}

impl<K: Ord + Clone, V: Clone> ByteLru<K, V> {
    /// Empty; at most `bytes_max`, but for a single entry that is larger.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { entries: BTreeMap::new(), by_use: BTreeMap::new(), uses: 0, bytes: 0, bytes_max }
    }

    /// A value, which counts as used.
    pub(super) fn get(&mut self, key: &K) -> Option<V> {
        let entry = self.entries.get_mut(key)?;
        self.uses += 1;
        self.by_use.remove(&entry.used);
        self.by_use.insert(self.uses, key.clone());
        entry.used = self.uses;
        Some(entry.value.clone())
    }

    /// Puts a value in the place of what was there.
    pub(super) fn insert(&mut self, key: K, value: V, bytes: usize) {
        self.remove(&key);
        self.uses += 1;
        self.by_use.insert(self.uses, key.clone());
        self.entries.insert(key, Entry { value, bytes, used: self.uses });
        self.bytes += bytes;
        self.shrink();
    }

    /// Says what a value weighs now, which counts as a use. Nothing, if it was forgotten meanwhile.
    pub(super) fn weigh(&mut self, key: &K, bytes: usize) {
        self.get(key);
        let Some(entry) = self.entries.get_mut(key) else { return };
        self.bytes = self.bytes.saturating_sub(entry.bytes) + bytes;
        entry.bytes = bytes;
        self.shrink();
    }

    /// Forgets a value.
    pub(super) fn remove(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.by_use.remove(&entry.used);
            self.bytes = self.bytes.saturating_sub(entry.bytes);
        }
    }

    /// The keys from `from` on for which `belongs` holds, the one used last longest ago first.
    pub(super) fn keys_from(&self, from: &K, belongs: impl Fn(&K) -> bool) -> Vec<K> {
        let mut keys: Vec<_> = self
            .entries
            .range(from..)
            .take_while(|(key, _)| belongs(key))
            .map(|(key, entry)| (entry.used, key.clone()))
            .collect();
        keys.sort_unstable_by_key(|(used, _)| *used);
        keys.into_iter().map(|(_, key)| key).collect()
    }

    /// How many there are, and what they weigh.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.entries.len(), self.bytes)
    }

    fn shrink(&mut self) {
        while self.bytes > self.bytes_max && self.entries.len() > 1 {
            let Some((_, key)) = self.by_use.pop_first() else { return };
            if let Some(entry) = self.entries.remove(&key) {
                self.bytes = self.bytes.saturating_sub(entry.bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let mut lru = ByteLru::new(100);
        for key in 0..4 {
            lru.insert(key, key, 25);
        }
        assert_eq!(lru.get(&0), Some(0));
        lru.insert(4, 4, 25);
        assert_eq!((lru.get(&1), lru.get(&0), lru.size()), (None, Some(0), (4, 100)));
        lru.weigh(&4, 90);
        assert_eq!(lru.size(), (1, 90), "the others gave way");
        assert_eq!(lru.get(&4), Some(4));
    }

    #[test]
    fn a_large_one_stays_alone() {
        let mut lru = ByteLru::new(10);
        lru.insert("a", (), 4);
        lru.insert("b", (), 1_000);
        assert_eq!(lru.size(), (1, 1_000));
        lru.weigh(&"a", 5);
        lru.remove(&"b");
        lru.remove(&"b");
        assert_eq!(lru.size(), (0, 0));
    }

    #[test]
    fn keys_are_listed_by_use() {
        let mut lru = ByteLru::new(100);
        for key in [(1, 1), (1, 2), (2, 1), (1, 3)] {
            lru.insert(key, (), 1);
        }
        lru.get(&(1, 1));
        assert_eq!(lru.keys_from(&(1, 0), |key| key.0 == 1), [(1, 2), (1, 3), (1, 1)]);
    }
}
