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
//!    not stored. So per pair of chains "what does s reach" and "which is the first to reach t" are seeks.
//!
//! A chain's number is the short id of its first event, so that no counter is needed.
//!
//! # Rows that `storage` keeps
//! | row | key | value | read by |
//! |---|---|---|---|
//! | place | event | chain, sequence | [`ChainSource::position`] |
//! | occupant | chain, sequence | event, state key | [`ChainSource::event_at`], [`ChainSource::last_sequence`] (last key of the prefix) |
//! | link | chain, target chain, target sequence | origin sequence | [`ChainSource::first_link`] (one seek), [`ChainSource::links`] (per target chain, the last row; where its origin is too late, halving by seeks) |
//! | backlink | target chain, target sequence, chain, sequence | – | [`ChainSource::backlinks`] (a range) |
//!
//! All are short ids (u64) and are written once; an [`Appended`] holds one event's rows. They can be rebuilt
//! from the events by [`append`]ing them again in any order that has auth events first ([`backfill`]), and
//! checked event by event ([`verify`]).
//!
//! # Cost
//! A join usually cites three events that lie in one or two chains: one place, one occupant, one or two
//! links. Appending reads the places of the cited events (at most ten) and makes a seek per pair of chains.
//! A reach costs the chains that it enters: those of the power levels, of whoever sent them, and of the
//! users who invited one another down to the event.

mod append;
mod backfill;
mod difference;
mod memory;
mod reach;
mod verify;

#[cfg(test)]
mod tests;

pub use append::{AppendError, Appended, NewEvent, append};
pub use backfill::{BackfillError, backfill};
pub use difference::{ChainRange, auth_difference, difference_of};
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

/// Who is at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occupant {
    /// The short id of the event.
    pub event: u64,
    /// The short id of its type and state key.
    pub state_key: u64,
}

/// A read-only view of the rows of one room's index (see the module's table of rows).
pub trait ChainSource {
    /// Why a read failed.
    type Error;

    /// Where an event is; `None` if it has not been appended.
    fn position(&self, event: u64) -> Result<Option<ChainPosition>, Self::Error>;

    /// Who is there; `None` past the end of the chain.
    fn event_at(&self, position: ChainPosition) -> Result<Option<Occupant>, Self::Error>;

    /// The last sequence of a chain; 0 if there is no such chain.
    fn last_sequence(&self, chain: u64) -> Result<u64, Self::Error>;

    /// For each other chain that events of `from.chain` up to `from.sequence` link to, the greatest target.
    fn links(&self, from: ChainPosition) -> Result<Vec<ChainPosition>, Self::Error>;

    /// The least sequence of `chain` that links to `target` or a later event of its chain.
    fn first_link(&self, chain: u64, target: ChainPosition) -> Result<Option<u64>, Self::Error>;

    /// The origins of the links to `target` or a later event of its chain, by target; at most `limit`.
    fn backlinks(&self, target: ChainPosition, limit: usize) -> Result<Vec<ChainPosition>, Self::Error>;
}

impl<C: ChainSource + ?Sized> ChainSource for &C {
    type Error = C::Error;

    fn position(&self, event: u64) -> Result<Option<ChainPosition>, Self::Error> {
        (**self).position(event)
    }

    fn event_at(&self, position: ChainPosition) -> Result<Option<Occupant>, Self::Error> {
        (**self).event_at(position)
    }

    fn last_sequence(&self, chain: u64) -> Result<u64, Self::Error> {
        (**self).last_sequence(chain)
    }

    fn links(&self, from: ChainPosition) -> Result<Vec<ChainPosition>, Self::Error> {
        (**self).links(from)
    }

    fn first_link(&self, chain: u64, target: ChainPosition) -> Result<Option<u64>, Self::Error> {
        (**self).first_link(chain, target)
    }

    fn backlinks(&self, target: ChainPosition, limit: usize) -> Result<Vec<ChainPosition>, Self::Error> {
        (**self).backlinks(target, limit)
    }
}
