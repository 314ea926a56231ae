//! The mainline ordering.

use std::collections::HashMap;

use super::{ResolutionError, Room, RoomEvent, RoomView};
use crate::state::chain_cover::{ChainPosition, is_in_auth_chain};

/// The mainline of a power levels event P₀, as far down as it was needed: P₀, P₁, … where each is the power
/// levels event in the auth events of the one before.
struct Mainline<'c, 'r, S, V: RoomView> {
    room: &'c Room<'r, S, V>,
    /// Event to index.
    indices: HashMap<u64, usize>,
    /// The lowest event so far, with its place; `None` below the end of the mainline.
    lowest: Option<(u64, ChainPosition)>,
    /// Power levels events whose position is known.
    known: HashMap<u64, usize>,
}

/// The mainline position ∞: greater than any other, as no mainline has so many events.
const INFINITE: usize = usize::MAX;

impl<'c, 'r, S, V: RoomView> Mainline<'c, 'r, S, V> {
    fn new(room: &'c Room<'r, S, V>, power_levels: Option<u64>) -> Result<Self, ResolutionError<V::Error>> {
        let mut mainline = Self { room, indices: HashMap::new(), lowest: None, known: HashMap::new() };
        mainline.push(power_levels)?;
        Ok(mainline)
    }

    fn push(&mut self, event: Option<u64>) -> Result<(), ResolutionError<V::Error>> {
        self.lowest = None;
        // A circle ends the mainline: its events are all there.
        let Some(event) = event.filter(|event| !self.indices.contains_key(event)) else { return Ok(()) };
        self.indices.insert(event, self.indices.len());
        self.lowest = Some((event, self.room.events.position(event)?));
        Ok(())
    }

    /// The index of a power levels event in the mainline, which grows downward as long as the event may
    /// still come: only while it is in the auth chain of the lowest.
    fn index_of(
        &mut self,
        event: u64,
        position: ChainPosition,
    ) -> Result<Option<usize>, ResolutionError<V::Error>> {
        loop {
            if let Some(index) = self.indices.get(&event) {
                return Ok(Some(*index));
            }
            let Some((lowest, at)) = self.lowest else { return Ok(None) };
            if !is_in_auth_chain(self.room.view, position, at).map_err(ResolutionError::View)? {
                return Ok(None);
            }
            self.push(self.power_levels_of(lowest)?)?;
        }
    }

    /// The power levels event in the auth events of an event.
    fn power_levels_of(&self, event: u64) -> Result<Option<u64>, ResolutionError<V::Error>> {
        let event = self.room.events.get(event)?;
        self.power_levels_in(&event)
    }

    fn power_levels_in(&self, event: &RoomEvent) -> Result<Option<u64>, ResolutionError<V::Error>> {
        let found = self.room.events.auth_event(event, "m.room.power_levels", "")?;
        Ok(found.map(|(id, _)| id))
    }

    /// The *mainline position* of `event`: the index of the first of e₁, e₂, … that is in the mainline,
    /// where each is the power levels event in the auth events of the one before, beginning with `event`.
    fn position(&mut self, event: &RoomEvent) -> Result<usize, ResolutionError<V::Error>> {
        let mut passed = Vec::new();
        let mut next = self.power_levels_in(event)?;
        let mut found = INFINITE;
        while let Some(levels) = next {
            if let Some(known) = self.known.get(&levels) {
                found = *known;
                break;
            }
            let position = self.room.events.position(levels)?;
            // Until its position is known it counts as infinite, which also ends a circle.
            self.known.insert(levels, INFINITE);
            passed.push(levels);
            if let Some(index) = self.index_of(levels, position)? {
                found = index;
                break;
            }
            next = self.power_levels_of(levels)?;
        }
        for levels in passed {
            self.known.insert(levels, found);
        }
        Ok(found)
    }
}

/// Sorts events by the *mainline ordering based on* P, `power_levels`: *x* < *y* if
/// 1. the mainline position of *x* is greater than that of *y*; or
/// 2. they are the same, but *x*'s `origin_server_ts` is less; or
/// 3. these are the same too, but *x*'s event id is less.
pub(super) fn mainline_ordering<S, V: RoomView>(
    room: &Room<'_, S, V>,
    events: impl Iterator<Item = u64>,
    power_levels: Option<u64>,
) -> Result<Vec<u64>, ResolutionError<V::Error>> {
    let mut mainline = Mainline::new(room, power_levels)?;
    let mut ranked = Vec::new();
    for id in events {
        let event = room.events.get(id)?;
        let position = mainline.position(&event)?;
        let event_id = event.event.event_id().to_owned();
        ranked.push((std::cmp::Reverse(position), event.event.origin_server_ts(), event_id, id));
    }
    ranked.sort_unstable();
    Ok(ranked.into_iter().map(|(.., id)| id).collect())
}
