//! Giving a new event its place.

use std::collections::BTreeMap;

use super::{
    ChainEntry, ChainPosition, ChainSource, Link, Occupant,
    links::{entry_with_links, greatest, is_summary, lead_to},
};
use crate::state::limits::CHAIN_LINKS_MAX;

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
    /// Where it is.
    pub position: ChainPosition,
    /// What is there.
    pub entry: ChainEntry,
    /// The targets of the event's own links, at most one per chain: each makes a backlink.
    pub targets: Vec<ChainPosition>,
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

/// An event that the new one cites.
struct Cited {
    position: ChainPosition,
    entry: ChainEntry,
    /// All that its chain links to up to it.
    links: Vec<Link>,
}

/// The place and links of a new event.
///
/// It prolongs the chain of the event that it replaces at its key if that is the last of its chain: so a
/// user's membership changes, or a room's power levels, make one chain. Where it replaces none, it prolongs the
/// chain of another auth event that is the last of its chain, unless that is reserved: so users who invite one
/// another in turn make one chain, too. Only one writer per room may append.
pub fn append<C: ChainSource>(source: &C, new: NewEvent<'_>) -> Result<Appended, AppendError<C::Error>> {
    if source.position(new.event)?.is_some() {
        return Err(AppendError::AlreadyAppended(new.event));
    }
    let cited = cited(source, new.auth_events)?;
    let depth = cited.iter().map(|cited| cited.entry.depth).max().unwrap_or(0).saturating_add(1);
    let before = predecessor(source, &new, &cited)?;
    let own = links_needed(&cited, before.map(|before| before.position));
    let position =
        before.map_or(ChainPosition { chain: new.event, sequence: 1 }, |before| before.position.after());
    let replaces = cited.iter().any(|cited| cited.entry.occupant.state_key == new.state_key);
    let targets = own.iter().map(|link| link.to).collect();
    let mut links = own;
    if let Some(before) = before.filter(|_| is_summary(position.sequence)) {
        links.extend_from_slice(&before.links);
        links = greatest(links);
    }
    let entry = ChainEntry {
        occupant: Occupant { event: new.event, state_key: new.state_key },
        depth,
        is_reserved: before.is_none() && replaces,
        links,
    };
    Ok(Appended { position, entry, targets })
}

/// The auth events, in the order of chains. Of several in one chain the last, which implies the others.
fn cited<C: ChainSource>(source: &C, auth_events: &[u64]) -> Result<Vec<Cited>, AppendError<C::Error>> {
    let mut last: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for auth_event in auth_events {
        let position = source.position(*auth_event)?.ok_or(AppendError::MissingAuthEvent(*auth_event))?;
        let known = last.entry(position.chain).or_default();
        *known = (position.sequence, *auth_event).max(*known);
    }
    let mut cited = Vec::with_capacity(last.len());
    for (chain, (sequence, auth_event)) in last {
        let position = ChainPosition { chain, sequence };
        let found = entry_with_links(source, position)?;
        let (entry, links) = found.ok_or(AppendError::MissingAuthEvent(auth_event))?;
        cited.push(Cited { position, entry, links });
    }
    Ok(cited)
}

/// The cited event whose chain the new one prolongs.
fn predecessor<'c, C: ChainSource>(
    source: &C,
    new: &NewEvent<'_>,
    cited: &'c [Cited],
) -> Result<Option<&'c Cited>, C::Error> {
    let mut candidates: Vec<&Cited> =
        cited.iter().filter(|one| one.links.len() + cited.len() <= CHAIN_LINKS_MAX).collect();
    let has_key = |one: &Cited| one.entry.occupant.state_key == new.state_key;
    // The replaced event first, then longer chains.
    candidates.sort_by_key(|one| std::cmp::Reverse((has_key(one), one.position.sequence)));
    for one in candidates {
        if !has_key(one) && (!new.citable || is_reserved(source, one)?) {
            continue;
        }
        // A point read says as much as a look for the chain's end would.
        if source.entry(one.position.after())?.is_none() {
            return Ok(Some(one));
        }
    }
    Ok(None)
}

fn is_reserved<C: ChainSource>(source: &C, cited: &Cited) -> Result<bool, C::Error> {
    if cited.position.sequence == 1 {
        return Ok(cited.entry.is_reserved);
    }
    Ok(source.entry(cited.position.start())?.is_some_and(|entry| entry.is_reserved))
}

/// Links to the cited events that are not reached already, by the predecessor or through one link of another
/// cited event. (A link too many costs a row, never an answer.)
fn links_needed(cited: &[Cited], before: Option<ChainPosition>) -> Vec<Link> {
    let others = cited.iter().filter(|one| Some(one.position) != before);
    let needed = others.filter(|one| !cited.iter().any(|other| lead_to(&other.links, one.position)));
    needed.map(|one| Link { to: one.position, depth: one.entry.depth }).collect()
}
