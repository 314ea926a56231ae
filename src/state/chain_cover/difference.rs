//! The auth difference: what is in some auth chains but not in all.
//!
//! All sets are walked at once, from what is deepest downward, each chain once. What all sets have reached is
//! not followed further unless it may say how much of a chain that some have reached is shared after all.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    ChainPosition, ChainSource, Link, links,
    probe::{Probe, is_shared, probe},
    sets::Sets,
};

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

/// The auth difference of sets of events at given places: ∪Cᵢ − ∩Cᵢ, where Cᵢ is the union of the auth
/// chains of the events of set i. In the order of chains.
///
/// Costs the chains in which they differ, neither the events between nor, but for rare cases, what they share.
pub fn auth_difference<C: ChainSource>(
    source: &C,
    sets: &[Vec<ChainPosition>],
) -> Result<Vec<ChainRange>, C::Error> {
    let mut walk = Walk::new(source, sets.len());
    for (index, set) in sets.iter().enumerate() {
        let mut one = Sets::none(sets.len());
        one.insert(index);
        for position in set {
            walk.start(*position, &one)?;
        }
    }
    while let Some((at, sets)) = walk.next()? {
        walk.visit(at, &sets)?;
    }
    Ok(walk.ranges())
}

/// A place with its auth depth, in the order of depths.
type Deep = (u64, ChainPosition);

/// What of a chain was reached.
struct Reached {
    /// The last event that some set reaches.
    last: u64,
    /// The last one that all reach; 0 for none.
    shared: u64,
    /// The sets that reach its last visited event.
    sets: Sets,
    /// The auth depth of its first event. Only kept while not all sets have reached it.
    start: u64,
}

struct Walk<'s, C> {
    source: &'s C,
    all: Sets,
    /// Places to be visited that some sets reach.
    partial: BTreeMap<Deep, Sets>,
    /// Places to be visited that all sets reach.
    whole: BTreeSet<Deep>,
    /// Chain to the greatest sequence that all sets are known to reach, visited or not.
    shared: HashMap<u64, u64>,
    chains: BTreeMap<u64, Reached>,
    /// Chains that not all sets have reached, by the auth depth of their first event.
    open: BTreeSet<(u64, u64)>,
    /// Those of which a probe could not tell how much all sets reach.
    held: BTreeSet<(u64, u64)>,
    /// Places of `partial` about which a probe said nothing, with what it found above them.
    unknown: HashMap<ChainPosition, Vec<ChainPosition>>,
}

impl<'s, C: ChainSource> Walk<'s, C> {
    fn new(source: &'s C, sets: usize) -> Self {
        Self {
            source,
            all: Sets::all(sets),
            partial: BTreeMap::new(),
            whole: BTreeSet::new(),
            shared: HashMap::new(),
            chains: BTreeMap::new(),
            open: BTreeSet::new(),
            held: BTreeSet::new(),
            unknown: HashMap::new(),
        }
    }

    /// Begins with what the event at `position` cites.
    fn start(&mut self, position: ChainPosition, sets: &Sets) -> Result<(), C::Error> {
        for link in links(self.source, position)? {
            self.reach(link, sets);
        }
        if let Some(before) = position.before()
            && let Some(entry) = self.source.entry(before)?
        {
            self.reach(Link { to: before, depth: entry.depth }, sets);
        }
        Ok(())
    }

    /// Notes that some sets reach a place.
    fn reach(&mut self, link: Link, sets: &Sets) {
        if is_shared(&self.shared, link.to) {
            return;
        }
        // What was visited in a chain is later in it than what is reached now.
        if self.chains.get(&link.to.chain).is_some_and(|known| known.sets.has(sets)) {
            return;
        }
        let place = (link.depth, link.to);
        let known = self.partial.entry(place).or_insert_with(|| sets.clone());
        known.add(sets);
        if *known == self.all {
            self.partial.remove(&place);
            self.share(place);
        }
    }

    /// Notes that all sets reach a place.
    fn share(&mut self, (depth, at): Deep) {
        let last = self.shared.entry(at.chain).or_default();
        *last = at.sequence.max(*last);
        self.whole.insert((depth, at));
    }

    /// The place to be visited next. Those that only some sets reach go first, each unless something deeper
    /// that all reach may lead to it; when there are none left, those that all reach, as long as they may lead
    /// to chains that not all have reached.
    fn next(&mut self) -> Result<Option<(Deep, Sets)>, C::Error> {
        while let Some((place, sets)) = self.partial.pop_last() {
            let (depth, at) = place;
            if self.chains.get(&at.chain).is_some_and(|known| known.sets.has(&sets)) {
                continue;
            }
            if self.whole.last().is_none_or(|(deepest, _)| *deepest <= depth) {
                return Ok(Some((place, sets)));
            }
            match self.probe(at)? {
                Probe::Apart => return Ok(Some((place, sets))),
                Probe::Shared => self.share(place),
                Probe::Unknown(above) => {
                    self.unknown.insert(at, above);
                    self.partial.insert(place, sets);
                    break;
                }
            }
        }
        if self.partial.is_empty() && self.is_settled()? {
            return Ok(None);
        }
        Ok(self.whole.pop_last().map(|place| (place, self.all.clone())))
    }

    fn probe(&mut self, at: ChainPosition) -> Result<Probe, C::Error> {
        match self.unknown.remove(&at) {
            // More is shared than when it was looked at.
            Some(above) if above.iter().any(|above| is_shared(&self.shared, *above)) => Ok(Probe::Shared),
            Some(above) => Ok(Probe::Unknown(above)),
            None => probe(self.source, &self.shared, at),
        }
    }

    /// Whether no chain that not all sets have reached can be reached from what all have.
    fn is_settled(&mut self) -> Result<bool, C::Error> {
        let Some((deepest, _)) = self.whole.last().copied() else { return Ok(true) };
        while let Some((start, chain)) = self.open.first().copied().filter(|(start, _)| *start <= deepest) {
            self.open.remove(&(start, chain));
            let shared = self.shared_part(chain)?;
            match (shared, self.chains.get_mut(&chain)) {
                (Some(sequence), Some(reached)) => reached.shared = sequence.max(reached.shared),
                _ => {
                    self.held.insert((start, chain));
                }
            }
        }
        Ok(self.held.first().is_none_or(|(start, _)| *start > deepest))
    }

    /// The last sequence of a chain that all sets reach, found from below by halving; `None` if that can't be
    /// told.
    fn shared_part(&self, chain: u64) -> Result<Option<u64>, C::Error> {
        let end = self.chains.get(&chain).map_or(0, |reached| reached.last);
        let (mut shared, mut apart) = (0, end.saturating_add(1));
        // Mostly nothing is shared.
        let mut sequence = 1;
        while shared + 1 < apart {
            match probe(self.source, &self.shared, ChainPosition { chain, sequence })? {
                Probe::Shared => shared = sequence,
                Probe::Apart => apart = sequence,
                Probe::Unknown(_) => return Ok(None),
            }
            sequence = shared + (apart - shared) / 2;
        }
        Ok(Some(shared))
    }

    /// Takes a place in and follows what its event, and those before it, link to.
    fn visit(&mut self, place: Deep, sets: &Sets) -> Result<(), C::Error> {
        let (_, at) = place;
        let Some(sets) = self.take_in(place, sets)? else { return Ok(()) };
        let is_whole = sets == self.all;
        if is_whole {
            let last = self.shared.entry(at.chain).or_default();
            *last = at.sequence.max(*last);
        }
        for link in links(self.source, at)? {
            if !is_whole {
                self.reach(link, &sets);
            } else if !is_shared(&self.shared, link.to) {
                self.share((link.depth, link.to));
            }
        }
        Ok(())
    }

    /// Notes a visited place. The sets that reach it, if some did not reach anything later in its chain.
    fn take_in(&mut self, (depth, at): Deep, sets: &Sets) -> Result<Option<Sets>, C::Error> {
        if let Some(reached) = self.chains.get_mut(&at.chain) {
            if reached.sets.has(sets) {
                return Ok(None);
            }
            reached.sets.add(sets);
            if reached.sets == self.all {
                reached.shared = at.sequence.max(reached.shared);
                self.open.remove(&(reached.start, at.chain));
                self.held.remove(&(reached.start, at.chain));
            }
            return Ok(Some(reached.sets.clone()));
        }
        let mut reached = Reached { last: at.sequence, shared: 0, sets: sets.clone(), start: depth };
        if *sets == self.all {
            reached.shared = at.sequence;
        } else {
            if at.sequence > 1 {
                reached.start = self.source.entry(at.start())?.map_or(0, |entry| entry.depth);
            }
            self.open.insert((reached.start, at.chain));
        }
        self.chains.insert(at.chain, reached);
        Ok(Some(sets.clone()))
    }

    fn ranges(self) -> Vec<ChainRange> {
        let range = |(chain, reached): (u64, Reached)| ChainRange {
            chain,
            after: reached.shared,
            last: reached.last,
        };
        self.chains.into_iter().map(range).filter(|range| !range.is_empty()).collect()
    }
}
