//! An index in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;

use super::{Appended, ChainPosition, ChainSource, Occupant};

/// A whole index in memory, for tests and benches. Grows with what it takes in.
#[derive(Debug, Default, Clone)]
pub struct MemoryChains {
    positions: HashMap<u64, ChainPosition>,
    occupants: BTreeMap<ChainPosition, Occupant>,
    /// Chain, target chain, target sequence to origin sequence.
    links: BTreeMap<(u64, u64, u64), u64>,
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
        let Appended { occupant, position, links } = appended;
        self.positions.insert(occupant.event, *position);
        self.occupants.insert(*position, *occupant);
        for target in links {
            self.links.insert((position.chain, target.chain, target.sequence), position.sequence);
            self.backlinks.insert((*target, *position));
        }
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
        self.links.len()
    }
}

impl ChainSource for MemoryChains {
    type Error = Infallible;

    fn position(&self, event: u64) -> Result<Option<ChainPosition>, Infallible> {
        Ok(self.positions.get(&event).copied())
    }

    fn event_at(&self, position: ChainPosition) -> Result<Option<Occupant>, Infallible> {
        Ok(self.occupants.get(&position).copied())
    }

    fn last_sequence(&self, chain: u64) -> Result<u64, Infallible> {
        let whole = ChainPosition { chain, sequence: 0 }..=ChainPosition { chain, sequence: u64::MAX };
        Ok(self.occupants.range(whole).next_back().map_or(0, |(last, _)| last.sequence))
    }

    fn links(&self, from: ChainPosition) -> Result<Vec<ChainPosition>, Infallible> {
        let mut targets = Vec::new();
        let mut target = 0;
        // Skips from one target chain to the next, as a store does with seeks.
        while let Some(((_, chain, _), _)) =
            self.links.range((from.chain, target, 0)..=(from.chain, u64::MAX, u64::MAX)).next()
        {
            let rows = self.links.range((from.chain, *chain, 0)..=(from.chain, *chain, u64::MAX));
            let last = rows.rev().find(|(_, origin)| **origin <= from.sequence);
            targets
                .extend(last.map(|((.., sequence), _)| ChainPosition { chain: *chain, sequence: *sequence }));
            let Some(next) = chain.checked_add(1) else { break };
            target = next;
        }
        Ok(targets)
    }

    fn first_link(&self, chain: u64, target: ChainPosition) -> Result<Option<u64>, Infallible> {
        let end = (chain, target.chain, u64::MAX);
        let mut rows = self.links.range((chain, target.chain, target.sequence)..=end);
        Ok(rows.next().map(|(_, origin)| *origin))
    }

    fn backlinks(&self, target: ChainPosition, limit: usize) -> Result<Vec<ChainPosition>, Infallible> {
        let least = ChainPosition { chain: 0, sequence: 0 };
        let most = ChainPosition { chain: u64::MAX, sequence: u64::MAX };
        let end = ChainPosition { chain: target.chain, sequence: u64::MAX };
        let rows = self.backlinks.range((target, least)..=(end, most));
        Ok(rows.take(limit).map(|(_, origin)| *origin).collect())
    }
}
