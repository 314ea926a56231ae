//! The state before an event: what the states after the events that it follows come to.

use ruma::OwnedEventId;

use super::{OpenRoom, ReceivedEvents};
use crate::{
    matrix::event::Event,
    rooms::{RoomError, limits},
    state::tree::StateRoot,
    storage::{
        Read, ShortEventId, ShortStateKeyId,
        records::{EventMeta, EventStatus},
        tables::{CHAIN_ENTRIES, CHAIN_PLACES},
    },
};

/// What is known of the state before an event.
pub(super) enum Before {
    /// The state, and which of the events that it follows are history that is missing: those that are not known,
    /// if a state was given, and a create event that has no place in the timeline.
    Known { state: StateRoot, missing: Vec<OwnedEventId> },
    /// It follows an event of another room.
    OtherRoom(OwnedEventId),
    /// It can't be told without these.
    Unknown { prev_events: Vec<OwnedEventId>, state_events: Vec<OwnedEventId> },
}

/// A state that another server says was the one before an event.
pub(super) enum Given {
    State(StateRoot),
    Missing(Vec<OwnedEventId>),
}

/// Whether the state before an event is known. (The one before the create event is empty, as it is for events
/// whose place is not known; that event is asked for by its type.)
pub(super) fn is_state_known(meta: &EventMeta) -> bool {
    meta.state_before != StateRoot::EMPTY.to_bytes()
}

impl ReceivedEvents {
    /// The state before `event`, by the states after the events that it follows and the one given.
    pub(super) fn state_before(
        &self,
        room: &OpenRoom,
        event: &Event,
        given: Option<Given>,
    ) -> Result<Before, RoomError> {
        let mut states = Vec::with_capacity(event.prev_events().len() + 1);
        let (mut missing, mut unshown) = (Vec::new(), Vec::new());
        for event_id in event.prev_events() {
            let stored = self.appender.events().by_id(event_id)?;
            let Some(stored) = stored else {
                missing.push(event_id.clone());
                continue;
            };
            if stored.meta.room != room.room {
                return Ok(Before::OtherRoom(event_id.clone()));
            }
            let is_create = stored.short == room.record.create_event;
            if is_create && stored.meta.status == EventStatus::Outlier {
                // Known since this server came in, but shown to nobody yet, and the state after it has no nodes.
                if let Given::State(state) = self.given_state(room, std::slice::from_ref(event_id))? {
                    states.push(state);
                }
                unshown.push(event_id.clone());
            } else if is_create || is_state_known(&stored.meta) {
                states.push(self.appender.states().after(&stored)?);
            } else {
                missing.push(event_id.clone());
            }
        }
        match given {
            Some(Given::State(state)) => states.push(state),
            Some(Given::Missing(state_events)) => {
                return Ok(Before::Unknown { prev_events: Vec::new(), state_events });
            }
            None if !missing.is_empty() => {
                return Ok(Before::Unknown { prev_events: missing, state_events: Vec::new() });
            }
            None => {}
        }
        missing.append(&mut unshown);
        let state = self.appender.resolver().resolve(room.resolved(), None, states)?;
        Ok(Before::Known { state, missing })
    }

    /// The state that a list of events makes. What is no state of this room, or is allowed by nothing, is left
    /// out.
    pub(super) fn given_state(&self, room: &OpenRoom, given: &[OwnedEventId]) -> Result<Given, RoomError> {
        let mut entries: Vec<(ShortStateKeyId, ShortEventId)> = Vec::with_capacity(given.len());
        let mut missing = Vec::new();
        let storage = self.appender.storage();
        for event_id in given {
            let short = storage.short_event_id(event_id)?;
            let meta = short.map(|short| self.appender.events().meta(short)).transpose()?.flatten();
            let (Some(short), Some(meta)) =
                (short, meta.filter(|meta| meta.status != EventStatus::OutOfBand))
            else {
                missing.push(event_id.clone());
                continue;
            };
            if meta.room != room.room || meta.status == EventStatus::Unauthorised {
                continue;
            }
            // The index of auth chains holds every event that can be in a state, with its key: so the event
            // itself need not be read.
            let Some(place) = storage.get(&CHAIN_PLACES, &short)? else { continue };
            let entry = storage.get(&CHAIN_ENTRIES, &(place.chain, place.sequence))?;
            entries.extend(entry.map(|entry| (entry.state_key, entry.event)));
        }
        if !missing.is_empty() {
            return Ok(Given::Missing(missing));
        }
        self.state_of(entries).map(Given::State)
    }

    /// The state with these entries, built in bounded steps. Its nodes are in the store.
    pub(super) fn state_of(
        &self,
        mut entries: Vec<(ShortStateKeyId, ShortEventId)>,
    ) -> Result<StateRoot, RoomError> {
        // In the order of the keys, so that a step changes few nodes of the step before.
        entries.sort_unstable();
        entries.dedup_by_key(|entry| entry.0);
        let storage = self.appender.storage();
        let mut root = StateRoot::EMPTY;
        for step in entries.chunks(limits::STATE_CHANGES_PER_STEP) {
            let changes: Vec<_> = step.iter().map(|(key, event)| (key.0, Some(event.0))).collect();
            let update = self.appender.states().tree(storage).update(root, &changes)?;
            self.appender.states().store(&update)?;
            root = update.root;
        }
        Ok(root)
    }
}
