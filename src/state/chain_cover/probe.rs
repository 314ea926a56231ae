//! Finding out from below whether an event is in all sets' auth chains.

use std::collections::HashMap;

use super::{ChainPosition, ChainSource};
use crate::state::limits::SHARED_PROBE_ROWS_MAX;

/// What a look from below says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Probe {
    /// Something that all sets have reaches the event.
    Shared,
    /// Nothing that all sets have reaches it.
    Apart,
    /// More than [`SHARED_PROBE_ROWS_MAX`] rows lie above it: these, none of them shared.
    Unknown(Vec<ChainPosition>),
}

/// Whether all sets have the event at a place, by the greatest sequence that they have of each chain.
pub(super) fn is_shared(shared: &HashMap<u64, u64>, at: ChainPosition) -> bool {
    shared.get(&at.chain).is_some_and(|last| *last >= at.sequence)
}

/// Whether one of `shared`, by chain the greatest sequence that all sets have, reaches the event at `start`.
///
/// Goes upward along backlinks. All that reaches an event is above it, so when that is exhausted the answer is
/// no; and of what much cites, something that all have is soon found.
pub(super) fn probe<C: ChainSource>(
    source: &C,
    shared: &HashMap<u64, u64>,
    start: ChainPosition,
) -> Result<Probe, C::Error> {
    let is_shared = |at: &ChainPosition| is_shared(shared, *at);
    if is_shared(&start) {
        return Ok(Probe::Shared);
    }
    let mut rows_left = SHARED_PROBE_ROWS_MAX;
    // Chain to the sequence from which on it is known to be above.
    let mut above = HashMap::from([(start.chain, start.sequence)]);
    let mut open = vec![start];
    while let Some(at) = open.pop() {
        let origins = source.backlinks(at, rows_left + 1)?;
        if origins.iter().any(is_shared) {
            return Ok(Probe::Shared);
        }
        let Some(left) = rows_left.checked_sub(origins.len()) else {
            let above = above.into_iter().map(|(chain, sequence)| ChainPosition { chain, sequence });
            return Ok(Probe::Unknown(above.chain(origins).collect()));
        };
        rows_left = left;
        for origin in origins {
            let known = above.entry(origin.chain).or_insert(u64::MAX);
            if origin.sequence < *known {
                *known = origin.sequence;
                open.push(origin);
            }
        }
    }
    Ok(Probe::Apart)
}
