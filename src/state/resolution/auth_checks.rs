//! The iterative auth checks algorithm, and the state that grows by it.

use std::collections::HashMap;
use std::sync::Arc;

use ruma::room_version_rules::RoomVersionRules;

use super::{ResolutionError, Room, RoomEvent, RoomView, conflicts::Conflicts};
use crate::matrix::Event;
use crate::matrix::auth_rules::{AuthError, AuthState, check_state_dependent};
use crate::matrix::power_levels::PowerLevels;
use crate::state::tree::{Change, NodeSource};

/// A state under construction: entries set so far, over the unconflicted ones (or over nothing).
#[derive(Debug)]
pub(super) struct PartialState<'c> {
    conflicts: &'c Conflicts,
    /// Whether entries that are not set are those of the unconflicted state map; otherwise absent.
    starts_unconflicted: bool,
    set: HashMap<u64, u64>,
}

impl<'c> PartialState<'c> {
    /// The unconflicted state map.
    pub(super) fn unconflicted(conflicts: &'c Conflicts) -> Self {
        Self { conflicts, starts_unconflicted: true, set: HashMap::new() }
    }

    /// The empty state map.
    pub(super) fn empty(conflicts: &'c Conflicts) -> Self {
        Self { conflicts, starts_unconflicted: false, set: HashMap::new() }
    }

    /// Sets an entry; returns what was set before, which is not what was there at the start.
    pub(super) fn set(&mut self, key: u64, event: u64) -> Option<u64> {
        self.set.insert(key, event)
    }

    /// Takes back what was set at a key.
    pub(super) fn unset(&mut self, key: u64) {
        self.set.remove(&key);
    }

    /// The event at a key. A point read.
    pub(super) fn get<S, V>(
        &self,
        room: &Room<'_, S, V>,
        key: u64,
    ) -> Result<Option<u64>, ResolutionError<V::Error>>
    where
        S: NodeSource<Error = V::Error>,
        V: RoomView,
    {
        match self.set.get(&key) {
            Some(event) => Ok(Some(*event)),
            None if self.starts_unconflicted => self.conflicts.unconflicted(room.tree, key),
            None => Ok(None),
        }
    }

    /// How the final state differs from [`Conflicts::base`]. Any event at a key of the unconflicted state
    /// map gives way to the one that is there.
    pub(super) fn into_changes<S, V>(
        self,
        room: &Room<'_, S, V>,
    ) -> Result<Vec<Change>, ResolutionError<V::Error>>
    where
        S: NodeSource<Error = V::Error>,
        V: RoomView,
    {
        let conflicted = self.conflicts.entries.keys();
        let mut changes: Vec<Change> = conflicted.map(|key| (*key, self.set.get(key).copied())).collect();
        for (key, event) in self.set {
            let is_conflicted = self.conflicts.entries.contains_key(&key);
            if !is_conflicted && self.conflicts.unconflicted(room.tree, key)?.is_none() {
                changes.push((key, Some(event)));
            }
        }
        Ok(changes)
    }
}

/// Where a check looks for what the state does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Otherwise {
    /// The event's own auth events, unless they are rejected.
    AuthEvents,
    /// Nowhere.
    Absent,
}

/// The state that one event is checked against.
struct CheckedState<'a, 'r, S, V: RoomView> {
    room: &'a Room<'r, S, V>,
    state: &'a PartialState<'a>,
    event: &'a RoomEvent,
    otherwise: Otherwise,
}

impl<S, V> CheckedState<'_, '_, S, V>
where
    S: NodeSource<Error = V::Error>,
    V: RoomView,
{
    fn find(
        &self,
        event_type: &str,
        state_key: &str,
    ) -> Result<Option<(u64, RoomEvent)>, ResolutionError<V::Error>> {
        let key = self.room.view.state_key_id(event_type, state_key).map_err(ResolutionError::View)?;
        if let Some(key) = key
            && let Some(id) = self.state.get(self.room, key)?
        {
            let event = self.room.events.get(id)?;
            // Agreed reading: a rejected event in the state does not authorise others.
            if !event.rejected || self.otherwise == Otherwise::Absent {
                return Ok(Some((id, event)));
            }
        }
        if self.otherwise == Otherwise::Absent {
            return Ok(None);
        }
        let found = self.room.events.auth_event(self.event, event_type, state_key)?;
        Ok(found.filter(|(_, event)| !event.rejected))
    }
}

impl<S, V> AuthState for CheckedState<'_, '_, S, V>
where
    S: NodeSource<Error = V::Error>,
    V: RoomView,
{
    type Error = ResolutionError<V::Error>;

    fn state_event(&self, event_type: &str, state_key: &str) -> Result<Option<Arc<Event>>, Self::Error> {
        Ok(self.find(event_type, state_key)?.map(|(_, event)| event.event))
    }

    fn create_event(&self) -> Result<Option<Arc<Event>>, Self::Error> {
        if self.room.rules.authorization.room_create_event_id_as_room_id {
            // Never an auth event there; the room id names it.
            return Ok(self.room.events.create()?.map(|(create, _)| create.event));
        }
        self.state_event("m.room.create", "")
    }

    fn power_levels(&self, _: &RoomVersionRules) -> Result<Option<Arc<PowerLevels>>, Self::Error> {
        match self.find("m.room.power_levels", "")? {
            Some((id, _)) => self.room.events.power_levels(id).map(Some),
            None => Ok(None),
        }
    }
}

/// Whether the authorisation rules allow `event` in a room in `state`.
pub(super) fn is_allowed<S, V>(
    room: &Room<'_, S, V>,
    state: &PartialState<'_>,
    event: &RoomEvent,
    otherwise: Otherwise,
) -> Result<bool, ResolutionError<V::Error>>
where
    S: NodeSource<Error = V::Error>,
    V: RoomView,
{
    let checked = CheckedState { room, state, event, otherwise };
    match check_state_dependent(&event.event, room.rules, &checked) {
        Ok(()) => Ok(true),
        Err(AuthError::Refused(_)) => Ok(false),
        Err(AuthError::State(error)) => Err(error),
    }
}

/// The *iterative auth checks algorithm*: applies each event to the state if the authorisation rules allow
/// it there, and ignores it otherwise.
pub(super) fn iterative_auth_checks<S, V>(
    room: &Room<'_, S, V>,
    state: &mut PartialState<'_>,
    events: &[u64],
) -> Result<(), ResolutionError<V::Error>>
where
    S: NodeSource<Error = V::Error>,
    V: RoomView,
{
    for id in events {
        let event = room.events.get(*id)?;
        if is_allowed(room, state, &event, Otherwise::AuthEvents)? {
            state.set(event.state_key, *id);
        }
    }
    Ok(())
}
