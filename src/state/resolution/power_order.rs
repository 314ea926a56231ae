//! The reverse topological power ordering.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use ruma::{OwnedEventId, UserId};

use super::{ResolutionError, Room, RoomEvent, RoomView};
use crate::matrix::power_levels::{PowerLevel, RoomPowerLevels};

/// The comparison relation on events: *x* < *y* if
/// 1. *x*'s sender has greater power level than *y*'s sender, when looking at their auth events; or
/// 2. the levels are the same, but *x*'s `origin_server_ts` is less; or
/// 3. these are the same too, but *x*'s event id is less.
type Rank = (Reverse<PowerLevel>, u64, OwnedEventId);

/// Sorts events by the *reverse topological power ordering*, from earliest to latest. `graph` holds each
/// event with those of its auth events that are among the events.
pub(super) fn reverse_topological_power_ordering<S, V: RoomView>(
    room: &Room<'_, S, V>,
    graph: &HashMap<u64, Vec<u64>>,
) -> Result<Vec<u64>, ResolutionError<V::Error>> {
    let mut cited_by: HashMap<u64, Vec<u64>> = HashMap::new();
    let mut waiting_for: HashMap<u64, usize> = HashMap::new();
    let mut candidates: BinaryHeap<Reverse<(Rank, u64)>> = BinaryHeap::new();
    for (event, auth_events) in graph {
        if auth_events.is_empty() {
            candidates.push(Reverse((rank(room, *event)?, *event)));
            continue;
        }
        waiting_for.insert(*event, auth_events.len());
        for auth_event in auth_events {
            cited_by.entry(*auth_event).or_default().push(*event);
        }
    }
    // Kahn's algorithm; at each step the smallest of the candidates.
    let mut sorted = Vec::with_capacity(graph.len());
    while let Some(Reverse((_, event))) = candidates.pop() {
        sorted.push(event);
        for citing in cited_by.get(&event).into_iter().flatten() {
            let Some(waiting) = waiting_for.get_mut(citing) else { continue };
            *waiting -= 1;
            if *waiting == 0 {
                candidates.push(Reverse((rank(room, *citing)?, *citing)));
            }
        }
    }
    Ok(sorted)
}

fn rank<S, V: RoomView>(room: &Room<'_, S, V>, id: u64) -> Result<Rank, ResolutionError<V::Error>> {
    let event = room.events.get(id)?;
    let level = level_of_sender(room, &event)?;
    Ok((Reverse(level), event.event.origin_server_ts(), event.event.event_id().to_owned()))
}

/// The power level of the event's sender by its own auth events. Malformed levels count as none.
fn level_of_sender<S, V: RoomView>(
    room: &Room<'_, S, V>,
    event: &RoomEvent,
) -> Result<PowerLevel, ResolutionError<V::Error>> {
    const NONE: PowerLevel = PowerLevel::Finite(0);
    let Some((_, creators)) = room.events.create()? else { return Ok(NONE) };
    let levels = match room.events.auth_event(event, "m.room.power_levels", "")? {
        Some((id, _)) => Some(room.events.power_levels(id)?),
        None => None,
    };
    let sender: &UserId = event.event.sender();
    Ok(RoomPowerLevels::new(levels, creators).user_level(sender).unwrap_or(NONE))
}
