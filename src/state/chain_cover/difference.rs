//! The auth difference: what is in some auth chains but not in all.

use std::collections::BTreeMap;

use super::{ChainPosition, ChainSource, Reach};

/// Events that follow one another in a chain: those after sequence `after`, up to `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChainRange {
    /// The chain.
    pub chain: u64,
    /// The sequence before the first event.
    pub after: u64,
    /// The sequence of the last event.
    pub last: u64,
}

impl ChainRange {
    /// How many events there are.
    pub fn len(&self) -> u64 {
        self.last.saturating_sub(self.after)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The places of the events, the first one first.
    pub fn positions(&self) -> impl DoubleEndedIterator<Item = ChainPosition> + use<> {
        let chain = self.chain;
        (self.after.saturating_add(1)..=self.last).map(move |sequence| ChainPosition { chain, sequence })
    }
}

/// The union of the sets less their intersection, in the order of chains.
pub fn difference_of(sets: &[Reach]) -> Vec<ChainRange> {
    // Per chain: in how many sets it occurs, and the least and greatest last sequence there.
    let mut chains: BTreeMap<u64, (usize, u64, u64)> = BTreeMap::new();
    for position in sets.iter().flat_map(Reach::iter) {
        let (count, least, greatest) = chains.entry(position.chain).or_insert((0, u64::MAX, 0));
        *count += 1;
        *least = position.sequence.min(*least);
        *greatest = position.sequence.max(*greatest);
    }
    let range = |(chain, (count, least, last)): (u64, (usize, u64, u64))| {
        let after = if count == sets.len() { least } else { 0 };
        ChainRange { chain, after, last }
    };
    chains.into_iter().map(range).filter(|range| !range.is_empty()).collect()
}

/// The auth difference of sets of events at given places: ∪Cᵢ − ∩Cᵢ, where Cᵢ is the union of the auth
/// chains of the events of set i. Costs the chains that they reach, not the events between.
pub fn auth_difference<C: ChainSource>(
    source: &C,
    sets: &[Vec<ChainPosition>],
) -> Result<Vec<ChainRange>, C::Error> {
    let mut reaches = Vec::with_capacity(sets.len());
    for set in sets {
        let mut reach = Reach::new();
        for position in set {
            reach.add_auth_chain(source, *position)?;
        }
        reaches.push(reach);
    }
    Ok(difference_of(&reaches))
}
