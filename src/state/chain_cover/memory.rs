//! An index in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;

use super::{Appended, ChainEntry, ChainPosition, ChainSource};

/// A whole index in memory, for tests and benches. Grows with what it takes in.
#[derive(Debug, Default, Clone)]
pub struct MemoryChains {
    positions: HashMap<u64, ChainPosition>,
    entries: BTreeMap<ChainPosition, ChainEntry>,
    /// Target and origin.
    backlinks: BTreeSet<(ChainPosition, ChainPosition)>,
}

impl MemoryChains {
    /// No events.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the rows of an event in.
    pub fn insert(&mut self, appended: &Appended) {
        let Appended { position, entry, targets } = appended;
        self.positions.insert(entry.occupant.event, *position);
        self.entries.insert(*position, entry.clone());
        self.backlinks.extend(targets.iter().map(|target| (*target, *position)));
    }

    /// How many events have a place.
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// Whether no event has a place.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// How many links there are.
    pub fn links_len(&self) -> usize {
        self.backlinks.len()
    }
}

impl ChainSource for MemoryChains {
    type Error = Infallible;

    fn position(&self, event: u64) -> Result<Option<ChainPosition>, Infallible> {
        Ok(self.positions.get(&event).copied())
    }

    fn entry(&self, position: ChainPosition) -> Result<Option<ChainEntry>, Infallible> {
        Ok(self.entries.get(&position).cloned())
    }

    fn entries_back(&self, position: ChainPosition, limit: usize) -> Result<Vec<ChainEntry>, Infallible> {
        let first = ChainPosition { sequence: 0, ..position };
        let rows = self.entries.range(first..=position).rev();
        Ok(rows.take(limit).map(|(_, entry)| entry.clone()).collect())
    }

    fn last_sequence(&self, chain: u64) -> Result<u64, Infallible> {
        let whole = ChainPosition { chain, sequence: 0 }..=ChainPosition { chain, sequence: u64::MAX };
        Ok(self.entries.range(whole).next_back().map_or(0, |(last, _)| last.sequence))
    }

    fn backlinks(&self, target: ChainPosition, limit: usize) -> Result<Vec<ChainPosition>, Infallible> {
        let least = ChainPosition { chain: 0, sequence: 0 };
        let most = ChainPosition { chain: u64::MAX, sequence: u64::MAX };
        let end = ChainPosition { chain: target.chain, sequence: u64::MAX };
        let rows = self.backlinks.range((target, least)..=(end, most));
        Ok(rows.take(limit).map(|(_, origin)| *origin).collect())
    }
}
