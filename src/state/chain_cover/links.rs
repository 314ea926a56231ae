//! What the events of a chain link to.

use super::{ChainEntry, ChainPosition, ChainSource, Link};
use crate::state::limits::CHAIN_SUMMARY_STRIDE;

/// Whether the entry at a sequence lists the links of all events of its chain so far.
pub(super) fn is_summary(sequence: u64) -> bool {
    sequence % CHAIN_SUMMARY_STRIDE == 1
}

/// For each other chain that the events of `from.chain` up to `from.sequence` link to, the greatest target, in
/// the order of chains. None if nobody is at `from`.
pub fn links<C: ChainSource>(source: &C, from: ChainPosition) -> Result<Vec<Link>, C::Error> {
    Ok(entry_with_links(source, from)?.map_or_else(Vec::new, |(_, links)| links))
}

/// The entry at a place with its event's [`links`].
pub(super) fn entry_with_links<C: ChainSource>(
    source: &C,
    from: ChainPosition,
) -> Result<Option<(ChainEntry, Vec<Link>)>, C::Error> {
    let Some(before) = from.sequence.checked_sub(1) else { return Ok(None) };
    if is_summary(from.sequence) {
        let entry = source.entry(from)?;
        return Ok(entry.map(|entry| {
            let links = entry.links.clone();
            (entry, links)
        }));
    }
    // Back to the last entry that lists all before it.
    let count = usize::try_from(before % CHAIN_SUMMARY_STRIDE).unwrap_or(0) + 1;
    let mut entries = source.entries_back(from, count)?.into_iter();
    let Some(entry) = entries.next() else { return Ok(None) };
    let mut all = entry.links.clone();
    for earlier in entries {
        all.extend(earlier.links);
    }
    Ok(Some((entry, greatest(all))))
}

/// Per chain the link that comes first, which is the greatest if later events' links come first.
pub(super) fn greatest(mut links: Vec<Link>) -> Vec<Link> {
    links.sort_by_key(|link| link.to.chain);
    links.dedup_by_key(|link| link.to.chain);
    links
}

/// Whether one of the links leads to `target` or a later event of its chain.
pub(super) fn lead_to(links: &[Link], target: ChainPosition) -> bool {
    links.iter().any(|link| link.to.chain == target.chain && link.to.sequence >= target.sequence)
}

/// The least sequence of `from.chain`, up to `from.sequence`, whose events link to `target` or a later event of
/// its chain. By halving: costs [`links`] a few times.
pub fn first_link<C: ChainSource>(
    source: &C,
    from: ChainPosition,
    target: ChainPosition,
) -> Result<Option<u64>, C::Error> {
    let is_linked = |sequence| Ok(lead_to(&links(source, ChainPosition { sequence, ..from })?, target));
    if !is_linked(from.sequence)? {
        return Ok(None);
    }
    let (mut without, mut with) = (0, from.sequence);
    while with - without > 1 {
        let middle = without + (with - without) / 2;
        if is_linked(middle)? {
            with = middle;
        } else {
            without = middle;
        }
    }
    Ok(Some(with))
}
