//! What an event, or a set of them, reaches by auth edges.

use std::collections::HashMap;

use super::{ChainPosition, ChainSource, Link, links};

/// A set of events that holds the auth chain of each, down to an auth depth: per chain, everything up to one
/// sequence number.
///
/// Grows by chains, not by events. Walking links visits a chain again only when more of it is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Chain to the last sequence that is in the set.
    last: HashMap<u64, u64>,
    /// Chains whose links are to be followed (again).
    open: Vec<u64>,
    /// Events of a lesser auth depth may be left out.
    floor: u64,
}

impl Reach {
    /// No events.
    pub fn new() -> Self {
        Self::default()
    }

    /// No events, and never to be asked for those of an auth depth less than `floor`.
    pub fn down_to(floor: u64) -> Self {
        Self { floor, ..Self::default() }
    }

    /// Adds the event at `position` and its auth chain.
    pub fn add<C: ChainSource>(&mut self, source: &C, position: ChainPosition) -> Result<(), C::Error> {
        self.raise(position);
        self.follow(source)
    }

    /// Adds the auth chain of the event at `position`, but not the event itself.
    pub fn add_auth_chain<C: ChainSource>(
        &mut self,
        source: &C,
        position: ChainPosition,
    ) -> Result<(), C::Error> {
        // All that the event cites is the event before it and the targets of links up to its own.
        self.raise_all(links(source, position)?);
        if let Some(before) = position.before() {
            self.raise(before);
        }
        self.follow(source)
    }

    /// Whether the event at `position` is in the set.
    pub fn contains(&self, position: ChainPosition) -> bool {
        position.sequence <= self.last_of(position.chain)
    }

    /// The last sequence of `chain` that is in the set; 0 for none.
    pub fn last_of(&self, chain: u64) -> u64 {
        self.last.get(&chain).copied().unwrap_or(0)
    }

    /// The chains that have events in the set, with the last of each, in no order.
    pub fn iter(&self) -> impl Iterator<Item = ChainPosition> + '_ {
        self.last.iter().map(|(chain, sequence)| ChainPosition { chain: *chain, sequence: *sequence })
    }

    fn raise_all(&mut self, links: Vec<Link>) {
        let floor = self.floor;
        links.into_iter().filter(|link| link.depth >= floor).for_each(|link| self.raise(link.to));
    }

    fn raise(&mut self, position: ChainPosition) {
        let last = self.last.entry(position.chain).or_default();
        if *last < position.sequence {
            *last = position.sequence;
            self.open.push(position.chain);
        }
    }

    fn follow<C: ChainSource>(&mut self, source: &C) -> Result<(), C::Error> {
        while let Some(chain) = self.open.pop() {
            let sequence = self.last_of(chain);
            self.raise_all(links(source, ChainPosition { chain, sequence })?);
        }
        Ok(())
    }
}

/// Whether the event at `ancestor` is in the auth chain of the one at `event` (no event is in its own).
pub fn is_in_auth_chain<C: ChainSource>(
    source: &C,
    ancestor: ChainPosition,
    event: ChainPosition,
) -> Result<bool, C::Error> {
    if ancestor.chain == event.chain {
        return Ok(ancestor.sequence < event.sequence);
    }
    let (Some(entry), Some(of_event)) = (source.entry(ancestor)?, source.entry(event)?) else {
        return Ok(false);
    };
    if of_event.depth <= entry.depth {
        return Ok(false);
    }
    let mut reach = Reach::down_to(entry.depth);
    reach.add_auth_chain(source, event)?;
    Ok(reach.contains(ancestor))
}
