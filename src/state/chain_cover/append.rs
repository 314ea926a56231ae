//! Giving a new event its place.

use std::collections::BTreeMap;

use super::{ChainPosition, ChainSource, Occupant};

/// An event that has no place yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewEvent<'a> {
    /// Its short id.
    pub event: u64,
    /// The short id of its type and state key.
    pub state_key: u64,
    /// Whether other events may cite it: its type is one that the selection of auth events names. Others
    /// never prolong a chain that such an event might.
    pub citable: bool,
    /// The short ids of its `auth_events`, all of which have a place.
    pub auth_events: &'a [u64],
}

/// The rows of an event that has got its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The event and its key.
    pub occupant: Occupant,
    /// Where it is.
    pub position: ChainPosition,
    /// The targets of its links, at most one per chain; each also makes a backlink.
    pub links: Vec<ChainPosition>,
}

/// Why an event can't get a place.
#[derive(Debug, thiserror::Error)]
pub enum AppendError<E> {
    /// One of its auth events has none: append that first (see [`backfill`](super::backfill)).
    #[error("the auth event with short id {0} is not in the chain-cover index")]
    MissingAuthEvent(u64),
    /// The event itself has a place already.
    #[error("the event with short id {0} is in the chain-cover index already")]
    AlreadyAppended(u64),
    /// The index could not be read.
    #[error(transparent)]
    Source(#[from] E),
}

/// The place and links of a new event.
///
/// It prolongs the chain of an auth event that is the last of its chain, if possible that of the event
/// which it replaces at its key: so a user's membership changes, or a room's power levels, make one chain.
/// Only one writer per room may append.
pub fn append<C: ChainSource>(source: &C, new: NewEvent<'_>) -> Result<Appended, AppendError<C::Error>> {
    if source.position(new.event)?.is_some() {
        return Err(AppendError::AlreadyAppended(new.event));
    }
    // Of several auth events in one chain the last implies the others.
    let mut cited: BTreeMap<u64, u64> = BTreeMap::new();
    for auth_event in new.auth_events {
        let position = source.position(*auth_event)?.ok_or(AppendError::MissingAuthEvent(*auth_event))?;
        let last = cited.entry(position.chain).or_default();
        *last = position.sequence.max(*last);
    }
    let cited: Vec<ChainPosition> =
        cited.into_iter().map(|(chain, sequence)| ChainPosition { chain, sequence }).collect();
    let before = predecessor(source, &new, &cited)?;
    let links = links_needed(source, &cited, before)?;
    let position = match before {
        Some(before) => ChainPosition { chain: before.chain, sequence: before.sequence.saturating_add(1) },
        None => ChainPosition { chain: new.event, sequence: 1 },
    };
    Ok(Appended { occupant: Occupant { event: new.event, state_key: new.state_key }, position, links })
}

/// The cited event whose chain the new one prolongs.
fn predecessor<C: ChainSource>(
    source: &C,
    new: &NewEvent<'_>,
    cited: &[ChainPosition],
) -> Result<Option<ChainPosition>, C::Error> {
    let mut best: Option<(bool, ChainPosition)> = None;
    for position in cited {
        // A point read says as much as a look for the chain's end would.
        let next = ChainPosition { chain: position.chain, sequence: position.sequence.saturating_add(1) };
        if source.event_at(next)?.is_some() {
            continue;
        }
        let same_key =
            source.event_at(*position)?.is_some_and(|occupant| occupant.state_key == new.state_key);
        if !same_key && !new.citable {
            continue;
        }
        let is_better =
            best.is_none_or(|(best_same, best)| (same_key, position.sequence) > (best_same, best.sequence));
        if is_better {
            best = Some((same_key, *position));
        }
    }
    Ok(best.map(|(_, position)| position))
}

/// The cited events that are not reached already, by the predecessor or through one link of another cited
/// event. (A link too many costs a row, never an answer.) At most one seek for each pair of cited events.
fn links_needed<C: ChainSource>(
    source: &C,
    cited: &[ChainPosition],
    before: Option<ChainPosition>,
) -> Result<Vec<ChainPosition>, C::Error> {
    let mut needed = Vec::new();
    for target in cited.iter().copied().filter(|position| Some(*position) != before) {
        let mut is_implied = false;
        for other in cited.iter().filter(|other| other.chain != target.chain) {
            let link = source.first_link(other.chain, target)?;
            is_implied |= link.is_some_and(|origin| origin <= other.sequence);
        }
        if !is_implied {
            needed.push(target);
        }
    }
    Ok(needed)
}
