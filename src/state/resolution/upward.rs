//! Which events of some chains the auth chains of the *unconflicted* state hold.
//!
//! An auth chain that the unconflicted state has is in every state's, so it is no part of the auth
//! difference. To collect it would mean to read the whole state. Instead the few events in question are
//! looked at from below: does anything that cites one of them, over any number of steps, stand in the
//! unconflicted state? Backlinks of the chain-cover index answer that. An event that the room at large
//! cites (old power levels, say) is settled by the first backlinks tried; one that only a branch of the fork
//! cites has no more upward than that branch.
//!
//! The exception: where more than [`UPWARD_SEARCH_ROWS_MAX`] rows are read without an answer (a branch with
//! thousands of state events), the unconflicted state is read through once after all.

use std::collections::HashMap;

use super::{ResolutionError, Room, RoomView, conflicts::Conflicts};
use crate::state::chain_cover::{ChainPosition, Reach};
use crate::state::limits::{UPWARD_SEARCH_FIRST_ROWS, UPWARD_SEARCH_ROWS_MAX};
use crate::state::tree::NodeSource;

/// Answers for one resolution.
pub(super) struct Upward<'c, 'r, S, V: RoomView> {
    room: &'c Room<'r, S, V>,
    conflicts: &'c Conflicts,
    rows_left: usize,
    /// Chain to a sequence: from there on no event is in the unconflicted state, nor cited by one that is.
    barren: HashMap<u64, u64>,
    /// The auth chains of the whole unconflicted state, once they had to be collected.
    collected: Option<Reach>,
}

/// What a search upward found.
enum Found {
    Yes,
    No,
    /// Too many rows.
    Unknown,
}

impl<'c, 'r, S, V> Upward<'c, 'r, S, V>
where
    S: NodeSource<Error = V::Error>,
    V: RoomView,
{
    pub(super) fn new(room: &'c Room<'r, S, V>, conflicts: &'c Conflicts) -> Self {
        let rows_left = UPWARD_SEARCH_ROWS_MAX;
        Self { room, conflicts, rows_left, barren: HashMap::new(), collected: None }
    }

    /// Whether an event of the unconflicted state has the one at `position` in its auth chain.
    pub(super) fn is_cited(&mut self, position: ChainPosition) -> Result<bool, ResolutionError<V::Error>> {
        if let Some(collected) = &self.collected {
            return Ok(collected.contains(position));
        }
        match self.search(position)? {
            Found::Yes => Ok(true),
            Found::No => Ok(false),
            Found::Unknown => {
                Ok(self.collected.insert(collect(self.room, self.conflicts)?).contains(position))
            }
        }
    }

    fn search(&mut self, start: ChainPosition) -> Result<Found, ResolutionError<V::Error>> {
        // Chain to the sequence from which on it has been looked at.
        let mut seen: HashMap<u64, u64> = HashMap::new();
        // The event itself is not in its own auth chain, but the events after it in its chain cite it.
        if self.has_unconflicted(start.chain, start.sequence.saturating_add(1), u64::MAX)? {
            return Ok(Found::Yes);
        }
        seen.insert(start.chain, start.sequence.saturating_add(1));
        let mut open = vec![start];
        while let Some(target) = open.pop() {
            let mut tried = 0;
            for rows in [UPWARD_SEARCH_FIRST_ROWS, UPWARD_SEARCH_FIRST_ROWS + self.rows_left + 1] {
                let view = self.room.view;
                let origins = view.backlinks(target, rows).map_err(ResolutionError::View)?;
                for origin in origins.iter().skip(tried) {
                    if !self.spend() {
                        return Ok(Found::Unknown);
                    }
                    let end = seen.get(&origin.chain).copied().unwrap_or(u64::MAX);
                    let barren = self.barren.get(&origin.chain).copied().unwrap_or(u64::MAX);
                    if origin.sequence >= end.min(barren) {
                        continue;
                    }
                    if self.has_unconflicted(origin.chain, origin.sequence, end.min(barren))? {
                        return Ok(Found::Yes);
                    }
                    seen.insert(origin.chain, origin.sequence);
                    open.push(*origin);
                }
                tried = origins.len();
                if tried < rows {
                    break;
                }
            }
            if self.rows_left == 0 {
                return Ok(Found::Unknown);
            }
        }
        for (chain, from) in seen {
            let barren = self.barren.entry(chain).or_insert(from);
            *barren = from.min(*barren);
        }
        Ok(Found::No)
    }

    /// Whether one of the events of `chain` from sequence `from` to before `end` is in the unconflicted
    /// state. Looks from the end, where the current ones are. Answers no when the rows are used up.
    fn has_unconflicted(
        &mut self,
        chain: u64,
        from: u64,
        end: u64,
    ) -> Result<bool, ResolutionError<V::Error>> {
        let view = self.room.view;
        let last = view.last_sequence(chain).map_err(ResolutionError::View)?;
        let mut sequence = last.min(end.saturating_sub(1));
        while sequence >= from && sequence > 0 && self.spend() {
            let occupant = view.event_at(ChainPosition { chain, sequence }).map_err(ResolutionError::View)?;
            let occupant = occupant.ok_or(ResolutionError::ChainGap(chain))?;
            let current = self.conflicts.unconflicted(self.room.tree, occupant.state_key)?;
            if current == Some(occupant.event) {
                return Ok(true);
            }
            sequence -= 1;
        }
        Ok(false)
    }

    /// Takes one row off the account; whether there was one.
    fn spend(&mut self) -> bool {
        let is_left = self.rows_left > 0;
        self.rows_left = self.rows_left.saturating_sub(1);
        is_left
    }
}

/// The auth chains of the unconflicted state, by reading all of it.
fn collect<S, V>(room: &Room<'_, S, V>, conflicts: &Conflicts) -> Result<Reach, ResolutionError<V::Error>>
where
    S: NodeSource<Error = V::Error>,
    V: RoomView,
{
    let mut reach = Reach::new();
    for entry in room.tree.range(conflicts.base, ..) {
        let (key, event) = entry?;
        if !conflicts.entries.contains_key(&key) {
            let position = room.events.position(event)?;
            reach.add_auth_chain(room.view, position).map_err(ResolutionError::View)?;
        }
    }
    Ok(reach)
}
