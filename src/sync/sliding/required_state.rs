//! Which state events a client wants of a room, and picking them out of a state or a difference of states.
//!
//! Named events are point reads of the state tree; wildcards look at a room's state without its members, and at
//! its members only for a client that asks for all of them. Members that are loaded lazily are no part of
//! this: they follow from the timeline.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use ruma::UserId;

use crate::{
    rooms::{RoomError, RoomStates},
    state::tree::StateRoot,
    storage::{Read, ShortStateKeyId, Storage},
    sync::state_changes::StateEntries,
};

const MEMBER: &str = "m.room.member";
const ANY: &str = "*";

/// The wanted state events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RequiredState {
    /// Types, each with the wanted state keys.
    types: BTreeMap<String, StateKeys>,
    /// State keys wanted of all types.
    of_any_type: StateKeys,
    /// True when the members that the timeline names are wanted.
    lazy_members: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum StateKeys {
    All,
    Some(BTreeSet<String>),
}

impl Default for StateKeys {
    fn default() -> Self {
        Self::Some(BTreeSet::new())
    }
}

impl StateKeys {
    fn add(&mut self, state_key: &str) {
        match self {
            Self::All => {}
            _ if state_key == ANY => *self = Self::All,
            Self::Some(keys) => {
                keys.insert(state_key.to_owned());
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        match other {
            Self::All => *self = Self::All,
            Self::Some(keys) => keys.iter().for_each(|key| self.add(key)),
        }
    }

    fn contains(&self, state_key: &str) -> bool {
        match self {
            Self::All => true,
            Self::Some(keys) => keys.contains(state_key),
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::Some(keys) if keys.is_empty())
    }
}

impl RequiredState {
    /// Of a request's pairs of type and state key, with `$ME` as `user_id`.
    pub(super) fn new(pairs: &[(String, String)], user_id: &UserId) -> Self {
        let mut required = Self::default();
        for (event_type, state_key) in pairs {
            match (event_type.as_str(), state_key.as_str()) {
                (MEMBER, "$LAZY") => required.lazy_members = true,
                (event_type, "$ME") => required.add(event_type, user_id.as_str()),
                (event_type, state_key) => required.add(event_type, state_key),
            }
        }
        required
    }

    fn add(&mut self, event_type: &str, state_key: &str) {
        if event_type == ANY {
            self.of_any_type.add(state_key);
        } else {
            self.types.entry(event_type.to_owned()).or_default().add(state_key);
        }
    }

    /// Adds all that another one wants.
    pub(super) fn merge(&mut self, other: &Self) {
        self.of_any_type.merge(&other.of_any_type);
        for (event_type, keys) in &other.types {
            self.types.entry(event_type.clone()).or_default().merge(keys);
        }
        self.lazy_members |= other.lazy_members;
    }

    /// True when the members that the timeline names are wanted. Who asks for all members gets no fewer.
    pub(super) fn lazy_members(&self) -> bool {
        self.lazy_members && !self.all_members()
    }

    /// True when all members are wanted. "Everything" stops at members that are asked for lazily.
    fn all_members(&self) -> bool {
        self.types.get(MEMBER) == Some(&StateKeys::All)
            || (self.of_any_type == StateKeys::All && !self.lazy_members)
    }

    /// True when this event is wanted by name or wildcard.
    pub(super) fn wants(&self, event_type: &str, state_key: &str) -> bool {
        if self.types.get(event_type).is_some_and(|keys| keys.contains(state_key)) {
            return true;
        }
        if event_type == MEMBER && self.of_any_type == StateKeys::All {
            return !self.lazy_members;
        }
        self.of_any_type.contains(state_key)
    }

    /// True when `known` may leave out something that this one wants.
    pub(super) fn exceeds(&self, known: &Self) -> bool {
        let wider = |wanted: &StateKeys, known: &StateKeys| match (wanted, known) {
            (_, StateKeys::All) => false,
            (StateKeys::All, _) => true,
            (StateKeys::Some(wanted), StateKeys::Some(known)) => !wanted.is_subset(known),
        };
        let nothing = StateKeys::default();
        wider(&self.of_any_type, &known.of_any_type)
            || (self.all_members() && !known.all_members())
            || self.types.iter().any(|(event_type, keys)| {
                let known_keys = known.types.get(event_type).unwrap_or(&nothing);
                let covered = match event_type.as_str() {
                    MEMBER => known.all_members(),
                    _ => known.of_any_type == StateKeys::All,
                };
                !covered && wider(keys, known_keys)
            })
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        let keys = |keys: &StateKeys| match keys {
            StateKeys::All => 0,
            StateKeys::Some(keys) => keys.iter().map(|key| key.len() + 48).sum(),
        };
        let types =
            self.types.iter().map(|(event_type, state_keys)| event_type.len() + 72 + keys(state_keys));
        size_of::<Self>() + keys(&self.of_any_type) + types.sum::<usize>()
    }

    /// With the short ids that its names have now.
    pub(super) fn resolve(&self, storage: &Storage) -> Result<Resolved<'_>, RoomError> {
        let mut exact = HashSet::new();
        let mut wildcard = !self.of_any_type.is_empty();
        for (event_type, keys) in &self.types {
            match keys {
                StateKeys::All => wildcard |= event_type != MEMBER,
                StateKeys::Some(keys) => {
                    for key in keys {
                        exact.extend(storage.short_state_key_id(event_type, key)?);
                    }
                }
            }
        }
        Ok(Resolved { required: self, exact, wildcard })
    }
}

/// Wanted state events, ready to be looked for.
#[derive(Debug)]
pub(super) struct Resolved<'r> {
    required: &'r RequiredState,
    exact: HashSet<ShortStateKeyId>,
    /// True when names do not say it all.
    wildcard: bool,
}

impl Resolved<'_> {
    /// What was asked for.
    pub(super) fn required(&self) -> &RequiredState {
        self.required
    }

    /// True when the event with this key is wanted.
    pub(super) fn wants(&self, storage: &Storage, key: ShortStateKeyId) -> Result<bool, RoomError> {
        if self.exact.contains(&key) {
            return Ok(true);
        }
        if key.as_member().is_some() && self.required.all_members() {
            return Ok(true);
        }
        if !self.wildcard {
            return Ok(false);
        }
        let (event_type, state_key) = storage.state_key(key)?;
        Ok(self.required.wants(&event_type, &state_key))
    }

    /// All that is wanted of a state.
    pub(super) fn of_state(
        &self,
        storage: &Storage,
        states: &RoomStates,
        root: StateRoot,
    ) -> Result<StateEntries, RoomError> {
        let keys: Vec<_> = self.exact.iter().copied().collect();
        let held = states.get_many(root, &keys)?;
        let mut entries: StateEntries =
            keys.into_iter().zip(held).filter_map(|(key, event)| Some((key, event?))).collect();
        if self.wildcard {
            for (key, event) in states.without_members(root)? {
                if self.wants(storage, key)? {
                    entries.insert(key, event);
                }
            }
        }
        if self.required.all_members() {
            entries.extend(states.members(root)?);
        } else if let StateKeys::Some(keys) = &self.required.of_any_type {
            // A state key of all types may be a member's.
            for key in keys.iter().filter(|key| key.starts_with('@')) {
                let Some(key) = storage.short_state_key_id(MEMBER, key)? else { continue };
                entries.extend(states.get_short(root, key)?.map(|event| (key, event)));
            }
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruma::user_id;

    fn required(pairs: &[(&str, &str)]) -> RequiredState {
        let pairs: Vec<_> = pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        RequiredState::new(&pairs, user_id!("@me:x"))
    }

    #[test]
    fn names_and_wildcards_are_understood() {
        let some = required(&[("m.room.name", ""), ("m.space.child", "*"), ("*", "k"), (MEMBER, "$ME")]);
        for (event_type, state_key, wanted) in [
            ("m.room.name", "", true),
            ("m.room.name", "other", false),
            ("m.room.name", "k", true),
            ("m.space.child", "!a:x", true),
            (MEMBER, "@me:x", true),
            (MEMBER, "@you:x", false),
        ] {
            assert_eq!(some.wants(event_type, state_key), wanted, "{event_type} {state_key}");
        }
        assert!(!some.lazy_members());
    }

    #[test]
    fn everything_stops_at_lazy_members() {
        let all = required(&[("*", "*")]);
        assert!(all.wants(MEMBER, "@you:x") && !all.lazy_members());
        let lazy = required(&[("*", "*"), (MEMBER, "$LAZY")]);
        assert!(!lazy.wants(MEMBER, "@you:x") && lazy.wants("m.room.topic", "") && lazy.lazy_members());
        let both = required(&[(MEMBER, "*"), (MEMBER, "$LAZY")]);
        assert!(both.wants(MEMBER, "@you:x") && !both.lazy_members());
    }

    #[test]
    fn only_more_exceeds() {
        let name = required(&[("m.room.name", "")]);
        let more = required(&[("m.room.name", ""), ("m.room.topic", "")]);
        let any_topic = required(&[("m.room.name", ""), ("m.room.topic", "*")]);
        let all = required(&[("*", "*")]);
        let lazy = required(&[("*", "*"), (MEMBER, "$LAZY")]);
        assert!(more.exceeds(&name) && !name.exceeds(&more) && !more.exceeds(&more));
        assert!(any_topic.exceeds(&more) && !more.exceeds(&any_topic));
        assert!(all.exceeds(&any_topic) && !any_topic.exceeds(&all));
        assert!(all.exceeds(&lazy) && !lazy.exceeds(&all));
        assert!(required(&[(MEMBER, "$ME")]).exceeds(&lazy));
        let mut merged = name.clone();
        merged.merge(&any_topic);
        merged.merge(&lazy);
        assert!(![name, more, any_topic, lazy].iter().any(|one| one.exceeds(&merged)));
    }
}
