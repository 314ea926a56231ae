//! The chain-cover index: auth chains answered by comparing numbers instead of walking events.
//!
//! For: every state event of a room has a place `(chain, sequence)` ([`ChainPosition`]), such that each
//! event of a chain cites (has among its `auth_events`) the one before it. What a chain's events cite in
//! other chains is kept as links. So the auth chain of an event is, per chain, everything up to one sequence
//! number ([`Reach`]), and the difference of two auth chains is a few ranges ([`auth_difference`]) however
//! many events lie between.
//!
//! Never: reads or writes a store, or looks at an event. Rows come in through [`ChainSource`]; a new event's
//! rows go out as [`Appended`] for the batch that holds the event. Messages have no place: nothing cites
//! them.
//!
//! Main types: [`ChainSource`], [`Reach`].
//!
//! # Invariants
//! 1. The event at `(c, s)`, s > 1, cites the event at `(c, s - 1)`. Sequences start at 1, without gaps.
//! 2. If an event at `(c, s)` cites one at `(d, t)`, then `s` reaches `t`: `c = d` and `t < s`, or a path of
//!    links from `(c, ≤ s)` to `(d, ≥ t)`.
//! 3. A link from `(c, s)` to `(d, t)` is there only if the event at `(c, s)` cites the one at `(d, t)`.
//! 4. The links from one chain to another rise strictly in both origin and target: one that adds nothing is
//!    not stored.
//! 5. An entry's links are those of its event alone; at sequences 1, 17, 33, … ([`CHAIN_SUMMARY_STRIDE`])
//!    those of all events of the chain so far, per target chain the greatest.
//! 6. An event's *auth depth* is greater than that of each event that it cites: 1 if it cites none, else one
//!    more than the greatest. So whatever reaches an event lies deeper than it.
//! 7. A chain whose first event cites an event of its own type and state key is *reserved* to that key. So a
//!    key's events lie in few chains: strangers can take the end of one chain of theirs, but not of the next.
//!
//! A chain's number is the short id of its first event, so that no counter is needed.
//!
//! # Rows that `storage` keeps
//! | row | key | value | read by |
//! |---|---|---|---|
//! | place | event | chain, sequence | [`ChainSource::position`] |
//! | entry | chain, sequence | [`ChainEntry`] | [`ChainSource::entry`], [`ChainSource::entries_back`], [`ChainSource::last_sequence`] (last key of the prefix) |
//! | backlink | target chain, target sequence, chain | sequence | [`ChainSource::backlinks`] (a range) |
//!
//! All are written once; an [`Appended`] holds one event's rows. They can be rebuilt from the events by
//! [`append`]ing them again in any order that has auth events first ([`backfill`]), and checked event by event
//! ([`verify`]).
//!
//! # Cost
//! A join usually cites three events, each in a chain of its own: one place, one entry, two backlinks.
//! Appending reads the places of the cited events (at most ten) and the links of each: at most 16 rows side by
//! side. A difference costs the chains in which the auth chains differ, and a few rows for each; neither the
//! events between nor what both have in common.
//!
//! [`CHAIN_SUMMARY_STRIDE`]: super::limits::CHAIN_SUMMARY_STRIDE

mod append;
mod backfill;
mod difference;
mod links;
mod memory;
mod probe;
mod reach;
mod sets;
mod verify;

#[cfg(test)]
mod cost_tests;
#[cfg(test)]
mod tests;

pub use append::{AppendError, Appended, NewEvent, append};
pub use backfill::{BackfillError, backfill};
pub use difference::{ChainRange, auth_difference};
pub use links::{first_link, links};
pub use memory::MemoryChains;
pub use reach::{Reach, is_in_auth_chain};
pub use verify::{ChainDefect, verify};

/// The place of a state event in the cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainPosition {
    /// The chain: the short id of its first event.
    pub chain: u64,
    /// The event's place in it, from 1.
    pub sequence: u64,
}

impl ChainPosition {
    /// The place before this one in its chain; `None` at the chain's start.
    pub fn before(self) -> Option<Self> {
        let sequence = self.sequence.checked_sub(1).filter(|sequence| *sequence > 0)?;
        Some(Self { sequence, ..self })
    }

    /// The place after this one.
    #[must_use]
    pub fn after(self) -> Self {
        Self { sequence: self.sequence.saturating_add(1), ..self }
    }

    /// The first place of this one's chain.
    #[must_use]
    pub fn start(self) -> Self {
        Self { sequence: 1, ..self }
    }
}

/// Who is at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occupant {
    /// The short id of the event.
    pub event: u64,
    /// The short id of its type and state key.
    pub state_key: u64,
}

/// A link to an event of another chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Where that is.
    pub to: ChainPosition,
    /// Its auth depth.
    pub depth: u64,
}

/// What the index knows of the event at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainEntry {
    /// The event.
    pub occupant: Occupant,
    /// Its auth depth (invariant 6).
    pub depth: u64,
    /// At the start of a chain: whether it is reserved to the event's key (invariant 7). Else false.
    pub is_reserved: bool,
    /// Its links by invariant 5, in the order of chains, each chain once.
    pub links: Vec<Link>,
}

/// A read-only view of the rows of one room's index (see the module's table of rows).
pub trait ChainSource {
    /// Why a read failed.
    type Error;

    /// Where an event is; `None` if it has not been appended.
    fn position(&self, event: u64) -> Result<Option<ChainPosition>, Self::Error>;

    /// What is there; `None` past the end of the chain.
    fn entry(&self, position: ChainPosition) -> Result<Option<ChainEntry>, Self::Error>;

    /// The entries from `position` back towards the start of its chain, at most `limit`.
    fn entries_back(&self, position: ChainPosition, limit: usize) -> Result<Vec<ChainEntry>, Self::Error>;

    /// The last sequence of a chain; 0 if there is no such chain.
    fn last_sequence(&self, chain: u64) -> Result<u64, Self::Error>;

    /// The origins of the links to `target` or a later event of its chain, by target; at most `limit`.
    fn backlinks(&self, target: ChainPosition, limit: usize) -> Result<Vec<ChainPosition>, Self::Error>;

    /// Who is there; `None` past the end of the chain.
    fn event_at(&self, position: ChainPosition) -> Result<Option<Occupant>, Self::Error> {
        Ok(self.entry(position)?.map(|entry| entry.occupant))
    }
}

impl<C: ChainSource + ?Sized> ChainSource for &C {
    type Error = C::Error;

    fn position(&self, event: u64) -> Result<Option<ChainPosition>, Self::Error> {
        (**self).position(event)
    }

    fn entry(&self, position: ChainPosition) -> Result<Option<ChainEntry>, Self::Error> {
        (**self).entry(position)
    }

    fn entries_back(&self, position: ChainPosition, limit: usize) -> Result<Vec<ChainEntry>, Self::Error> {
        (**self).entries_back(position, limit)
    }

    fn last_sequence(&self, chain: u64) -> Result<u64, Self::Error> {
        (**self).last_sequence(chain)
    }

    fn backlinks(&self, target: ChainPosition, limit: usize) -> Result<Vec<ChainPosition>, Self::Error> {
        (**self).backlinks(target, limit)
    }
}
