//! Order for events that come without a place: outliers, and the index of a whole room when it is rebuilt.

use std::collections::{HashMap, HashSet};

use super::ChainSource;
use crate::state::limits::BACKFILL_EVENTS_MAX;

/// Why events can't be ordered.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError<E> {
    /// More than [`BACKFILL_EVENTS_MAX`] events without a place.
    #[error("more than {BACKFILL_EVENTS_MAX} events lack a place in the chain-cover index")]
    TooMany,
    /// An event cites itself over some others: no event can, so the store is wrong.
    #[error("the auth chain of the event with short id {0} has a circle")]
    Circle(u64),
    /// The index or the events could not be read.
    #[error(transparent)]
    Source(#[from] E),
}

/// The events that must be [`append`](super::append)ed so that `wanted` have places: they and what their
/// auth chains lack, auth events first. `auth_events_of` answers the short ids of an event's auth events.
///
/// Walks only events without a place, with a stack of its own, so depth costs memory and not the stack.
pub fn backfill<C, F>(
    source: &C,
    wanted: &[u64],
    auth_events_of: F,
) -> Result<Vec<u64>, BackfillError<C::Error>>
where
    C: ChainSource,
    F: Fn(u64) -> Result<Vec<u64>, C::Error>,
{
    let mut order = Vec::new();
    let mut done: HashSet<u64> = HashSet::new();
    // Events on the path from a wanted one, each with those of its auth events that are still to be visited.
    let mut open: HashMap<u64, Vec<u64>> = HashMap::new();
    for event in wanted {
        let mut path = vec![*event];
        while let Some(event) = path.last().copied() {
            if done.contains(&event) {
                path.pop();
                continue;
            }
            let left = match open.remove(&event) {
                Some(left) => Some(left),
                None if source.position(event)?.is_some() => None,
                None => Some(auth_events_of(event)?),
            };
            let Some(mut left) = left else {
                done.insert(event);
                continue;
            };
            if let Some(next) = left.pop() {
                open.insert(event, left);
                if open.contains_key(&next) {
                    return Err(BackfillError::Circle(next));
                }
                path.push(next);
            } else {
                done.insert(event);
                order.push(event);
            }
            if order.len() + open.len() > BACKFILL_EVENTS_MAX {
                return Err(BackfillError::TooMany);
            }
        }
    }
    Ok(order)
}
