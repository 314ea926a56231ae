//! The conflicted state subgraph of v2.1.

use std::collections::{BTreeMap, HashMap};

use super::{ResolutionError, Room, RoomView};
use crate::state::chain_cover::{ChainPosition, ChainRange, Reach, first_link, links};

/// The *conflicted state subgraph*: every event on a path of auth edges from one event of the conflicted
/// state set to another, ends included.
///
/// An event is on such a path if a conflicted event reaches it and it reaches a conflicted event, itself
/// counting in both. In each chain the first is so up to some sequence and the second from some sequence
/// on: a range.
pub(super) fn conflicted_subgraph<S, V: RoomView>(
    room: &Room<'_, S, V>,
    conflicted: &[ChainPosition],
) -> Result<Vec<ChainRange>, ResolutionError<V::Error>> {
    // Nothing that is not deeper than all of them reaches one.
    let mut floor = u64::MAX;
    for position in conflicted {
        let entry = room.view.entry(*position).map_err(ResolutionError::View)?;
        floor = entry.ok_or(ResolutionError::ChainGap(position.chain))?.depth.min(floor);
    }
    let mut below = Reach::down_to(floor);
    for position in conflicted {
        below.add(room.view, *position).map_err(ResolutionError::View)?;
    }
    // Which of these chains link to which.
    let mut linking: HashMap<u64, Vec<u64>> = HashMap::new();
    for last in below.iter() {
        for link in links(room.view, last).map_err(ResolutionError::View)? {
            linking.entry(link.to.chain).or_default().push(last.chain);
        }
    }
    // Per chain, the first sequence that reaches a conflicted event.
    let mut first: BTreeMap<u64, u64> = BTreeMap::new();
    for position in conflicted {
        let sequence = first.entry(position.chain).or_insert(position.sequence);
        *sequence = position.sequence.min(*sequence);
    }
    // It only falls, so this ends; a chain is looked at again only when it fell.
    let mut open: Vec<u64> = first.keys().copied().collect();
    while let Some(chain) = open.pop() {
        let Some(sequence) = first.get(&chain).copied() else { continue };
        for origin in linking.get(&chain).into_iter().flatten().copied() {
            let end = ChainPosition { chain: origin, sequence: below.last_of(origin) };
            let link = first_link(room.view, end, ChainPosition { chain, sequence });
            let Some(link) = link.map_err(ResolutionError::View)? else { continue };
            if link < first.get(&origin).copied().unwrap_or(u64::MAX) {
                first.insert(origin, link);
                open.push(origin);
            }
        }
    }
    let range = |(chain, first): (u64, u64)| ChainRange {
        chain,
        after: first.saturating_sub(1),
        last: below.last_of(chain),
    };
    Ok(first.into_iter().map(range).filter(|range| !range.is_empty()).collect())
}
