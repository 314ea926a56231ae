//! Which entries of the states are in conflict, found by the difference of their trees.

use std::collections::{BTreeMap, BTreeSet};

use super::ResolutionError;
use crate::state::limits::FULL_CONFLICTED_SET_MAX;
use crate::state::tree::{NodeSource, StateRoot, StateTree};

/// The entries in which the states of a fork differ, and a state that has all the others.
#[derive(Debug)]
pub(super) struct Conflicts {
    /// One of the states. Its entries at keys that are not in `entries` are those of every state.
    pub(super) base: StateRoot,
    /// How many different states there are, at least two.
    pub(super) states: usize,
    /// The keys at which not all states hold the same event, with the event that each holds.
    pub(super) entries: BTreeMap<u64, Vec<Option<u64>>>,
}

impl Conflicts {
    /// `None` if all states are the same. Costs the differences, whatever the size of the states.
    pub(super) fn between<S: NodeSource>(
        tree: &StateTree<S>,
        roots: &[StateRoot],
    ) -> Result<Option<Self>, ResolutionError<S::Error>> {
        let Some(base) = roots.first().copied() else { return Ok(None) };
        let others: BTreeSet<StateRoot> = roots.iter().copied().filter(|root| *root != base).collect();
        if others.is_empty() {
            return Ok(None);
        }
        let states = others.len() + 1;
        let mut entries: BTreeMap<u64, Vec<Option<u64>>> = BTreeMap::new();
        let mut found: usize = 0;
        for (other, root) in (1..).zip(others) {
            for difference in tree.diff(base, root) {
                let (key, here, there) = difference?;
                found += 1;
                if found > FULL_CONFLICTED_SET_MAX {
                    return Err(ResolutionError::TooManyConflicts);
                }
                let values = entries.entry(key).or_insert_with(|| vec![here; states]);
                if let Some(value) = values.get_mut(other) {
                    *value = there;
                }
            }
        }
        Ok(Some(Self { base, states, entries }))
    }

    /// The event that every state holds at `key`, if they agree and it is not nothing.
    pub(super) fn unconflicted<S: NodeSource>(
        &self,
        tree: &StateTree<S>,
        key: u64,
    ) -> Result<Option<u64>, ResolutionError<S::Error>> {
        if self.entries.contains_key(&key) {
            return Ok(None);
        }
        Ok(tree.get(self.base, key)?)
    }

    /// The *conflicted state set*: every event that some state holds at a conflicted key.
    pub(super) fn state_set(&self) -> BTreeSet<u64> {
        self.entries.values().flatten().copied().flatten().collect()
    }

    /// The events that the state at `index` holds at conflicted keys.
    pub(super) fn of_state(&self, index: usize) -> impl Iterator<Item = u64> + '_ {
        self.entries.values().filter_map(move |values| values.get(index).copied().flatten())
    }
}
