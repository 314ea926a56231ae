//! History from before the oldest event that this server has: it goes before the timeline's start, and changes
//! neither ends nor current state.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use ruma::{OwnedEventId, RoomId};

use super::{
    OpenRoom, Placed, ReceivedEvents,
    checks::Verdict,
    graph::{Before, Given, is_state_known},
};
use crate::{
    matrix::event::Event,
    rooms::{RoomError, event_indices, limits},
    state::tree::StateRoot,
    storage::{
        Read, ShortEventId, StreamPosition, TimelineKey,
        records::{EventMeta, EventStatus},
        tables::{EVENT_META, MISSING_EVENTS, ROOM_HEADS, TIMELINE},
    },
};

/// What came of a piece of history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backfilled {
    /// How many events clients can now see.
    pub appended: usize,
    /// An event before which history is missing and whose state before must be given (`/state_ids`) before
    /// it and what follows it can be taken in.
    pub needs_state: Option<OwnedEventId>,
    /// Auth events, or entries of a given state, that must be kept as outliers first.
    pub missing: Vec<OwnedEventId>,
}

/// The states before events as other servers have them, by event.
pub type GivenStates = BTreeMap<OwnedEventId, Vec<OwnedEventId>>;

impl ReceivedEvents {
    /// Puts older events, at most [`limits::BACKFILLED_EVENTS_MAX`], before the room's timeline. `given` holds
    /// the states before those of them that [`Backfilled::needs_state`] has asked for. When something is
    /// needed, ask again with the same events once it is there.
    pub fn append_backfilled(
        &self,
        room_id: &RoomId,
        events: Vec<Event>,
        given: &GivenStates,
    ) -> Result<Backfilled, RoomError> {
        let mut room = self.open(room_id)?;
        let mut new = Vec::new();
        for event in events.into_iter().take(limits::BACKFILLED_EVENTS_MAX) {
            if event.room_id() == room_id && !self.is_in_history(&event)? {
                new.push(Arc::new(event));
            }
        }
        let ordered = oldest_first(&new);
        let states_after = self.states_from_later(&room, &ordered)?;
        let mut backfilled = Backfilled::default();
        for event in &ordered {
            let is_unplaced = !self.is_placed(event)? || self.is_unshown_create(&room, event)?;
            if is_unplaced && !self.place_old(&mut room, event, given, &states_after, &mut backfilled)? {
                return Ok(backfilled);
            }
        }
        backfilled.appended = self.prepend(&mut room, &ordered)?;
        Ok(backfilled)
    }

    /// Whether it is the room's create event, known since this server came in and without a place.
    fn is_unshown_create(&self, room: &OpenRoom, event: &Event) -> Result<bool, RoomError> {
        let meta = self.appender.events().meta(room.record.create_event)?;
        let is_shown = meta.is_some_and(|meta| meta.timeline.is_some());
        Ok(event.event_id() == room.create.event_id() && !is_shown)
    }

    /// Whether clients can see it, or never will.
    fn is_in_history(&self, event: &Event) -> Result<bool, RoomError> {
        let storage = self.appender.storage();
        let Some(short) = storage.short_event_id(event.event_id())? else { return Ok(false) };
        let Some(meta) = storage.get(&EVENT_META, &short)? else { return Ok(false) };
        let waits_for_its_place = meta.status == EventStatus::Accepted && meta.timeline.is_none();
        Ok(is_state_known(&meta) && !waits_for_its_place)
    }

    /// States after events, known from what follows them: a message changes no state, so the state before a
    /// later event is that after the one that it follows alone.
    fn states_from_later(
        &self,
        room: &OpenRoom,
        ordered: &[Arc<Event>],
    ) -> Result<HashMap<OwnedEventId, StateRoot>, RoomError> {
        let storage = self.appender.storage();
        let mut after: HashMap<OwnedEventId, StateRoot> = HashMap::new();
        for event in ordered.iter().rev() {
            if let Some(short) = storage.short_event_id(event.event_id())?
                && let Some(later) = storage.get(&MISSING_EVENTS, &(room.room, short))?
                && let Some(later) = self.stored(later)?
                && later.event.prev_events() == [event.event_id()]
                && is_state_known(&later.meta)
            {
                after.insert(event.event_id().to_owned(), StateRoot::from_bytes(later.meta.state_before));
            }
            if let Some(state) = after.get(event.event_id()).copied().filter(|_| !event.is_state())
                && let [only] = event.prev_events()
            {
                after.insert(only.clone(), state);
            }
        }
        Ok(after)
    }

    /// Keeps an old event with its place in the graph; false if something is missing.
    fn place_old(
        &self,
        room: &mut OpenRoom,
        event: &Arc<Event>,
        given: &GivenStates,
        states_after: &HashMap<OwnedEventId, StateRoot>,
        backfilled: &mut Backfilled,
    ) -> Result<bool, RoomError> {
        let auth_events = self.auth_events(event)?;
        if !auth_events.missing.is_empty() {
            backfilled.missing.extend(auth_events.missing);
            return Ok(false);
        }
        let given = match (given.get(event.event_id()), states_after.get(event.event_id())) {
            (Some(given), _) => Some(self.given_state(room, given)?),
            (None, Some(after)) if !event.is_state() => Some(Given::State(*after)),
            _ => None,
        };
        let is_create = event.event_id() == room.create.event_id();
        let (before, missing) = match self.state_before(room, event, given)? {
            Before::Known { state, missing } => (state, missing),
            // Of no use, and nothing can follow it.
            Before::OtherRoom(_) => return Ok(true),
            Before::Unknown { state_events, .. } => {
                if state_events.is_empty() {
                    backfilled.needs_state = Some(event.event_id().to_owned());
                }
                backfilled.missing.extend(state_events);
                return Ok(false);
            }
        };
        if event.prev_events().is_empty() && !is_create {
            return Ok(true);
        }
        let status = match self.check_old(room, event, &auth_events.found, before)? {
            Verdict::Allowed | Verdict::AgainstCurrentState(_) => EventStatus::Accepted,
            Verdict::AgainstStateBefore(_) => EventStatus::Rejected,
            Verdict::AgainstAuthEvents(_) => EventStatus::Unauthorised,
        };
        self.keep_old(room, Placed { event: event.clone(), state_before: before, missing }, status)?;
        Ok(true)
    }

    /// Checks 4 and 5: what the room's current state says is of no account for the past.
    fn check_old(
        &self,
        room: &OpenRoom,
        event: &Event,
        auth_events: &[crate::rooms::StoredEvent],
        before: StateRoot,
    ) -> Result<Verdict, RoomError> {
        if let Err(refusal) = self.check_auth_events(&room.rules, &room.create, event, auth_events)? {
            return Ok(Verdict::AgainstAuthEvents(refusal));
        }
        match self.check_state(room, event, before)? {
            Ok(()) => Ok(Verdict::Allowed),
            Err(refusal) => Ok(Verdict::AgainstStateBefore(refusal)),
        }
    }

    fn keep_old(&self, room: &mut OpenRoom, placed: Placed, status: EventStatus) -> Result<(), RoomError> {
        if status != EventStatus::Accepted {
            return self.keep(room, &placed, status);
        }
        let redaction = self.redaction_by(room, &placed.event, placed.state_before)?;
        let redacted_by = self.early_redaction(room, &placed.event)?;
        let event = redacted_by.as_ref().map_or(&placed.event, |redacted| &redacted.event).clone();
        let placed = Placed { event, ..placed };
        self.keep(room, &placed, status)?;
        let events = self.appender.events();
        self.appender.storage().write(|rows| {
            let short = rows.intern_event(placed.event.event_id())?;
            redaction.write_idle(rows, short)?;
            if let Some(redaction) = redaction.effective() {
                redaction.write(rows, short)?;
            }
            if let Some(redacted) = &redacted_by {
                redacted.write(rows, short)?;
            }
            Ok::<_, RoomError>(())
        })?;
        if let Some(redaction) = redaction.effective() {
            redaction.applied(events);
        }
        Ok(())
    }

    /// Gives the accepted ones of these events, oldest first, places before the timeline's start.
    fn prepend(&self, room: &mut OpenRoom, ordered: &[Arc<Event>]) -> Result<usize, RoomError> {
        let mut head = room.head.clone();
        let appended = self.appender.storage().write(|rows| {
            let mut appended = 0;
            for event in ordered.iter().rev() {
                let Some(short) = rows.short_event_id(event.event_id())? else { continue };
                let Some(meta) = rows.get(&EVENT_META, &short)? else { continue };
                if meta.status != EventStatus::Accepted || meta.timeline.is_some() {
                    continue;
                }
                let key = TimelineKey(head.oldest.0.min(0) - 1);
                rows.put(&EVENT_META, &short, &EventMeta { timeline: Some(key), ..meta });
                rows.put(&TIMELINE, &(room.room, key), &(short, StreamPosition(0)));
                if meta.redacted_by.is_none() {
                    event_indices::add(rows, room.room, short, key, event)?;
                }
                head.oldest = key;
                appended += 1;
            }
            rows.put(&ROOM_HEADS, &room.room, &head);
            Ok::<_, RoomError>(appended)
        })?;
        room.head = head;
        Ok(appended)
    }

    /// Events that the room's history names and this server lacks, with the events that name them: where to
    /// ask other servers for more. At most `limit`.
    pub fn missing_history(
        &self,
        room_id: &RoomId,
        limit: usize,
    ) -> Result<Vec<(OwnedEventId, OwnedEventId)>, RoomError> {
        let storage = self.appender.storage();
        let Some(room) = self.appender.index().room(room_id)? else { return Ok(Vec::new()) };
        let range = MISSING_EVENTS.prefix(&(room,));
        let rows = storage.scan(&MISSING_EVENTS, &range, crate::storage::Direction::Forward).take(limit);
        rows.map(|row| {
            let ((_, missing), by): ((_, ShortEventId), ShortEventId) = row?;
            Ok((storage.event_id(missing)?, storage.event_id(by)?))
        })
        .collect()
    }
}

/// The events ordered so that those among them which an event follows come before it; otherwise by depth.
fn oldest_first(events: &[Arc<Event>]) -> Vec<Arc<Event>> {
    let among: HashMap<&ruma::EventId, &Arc<Event>> =
        events.iter().map(|event| (event.event_id(), event)).collect();
    let mut by_depth: Vec<&Arc<Event>> = among.values().copied().collect();
    by_depth.sort_by_key(|event| (event.depth(), event.origin_server_ts(), event.event_id().to_owned()));
    let mut done: HashSet<&ruma::EventId> = HashSet::new();
    let mut ordered = Vec::with_capacity(by_depth.len());
    for event in by_depth {
        // With a stack of its own: depths are what their servers say, so an event may come before one that
        // it follows.
        let mut path = vec![event];
        let mut entered: HashSet<&ruma::EventId> = HashSet::new();
        while let Some(event) = path.last().copied() {
            if done.contains(event.event_id()) {
                path.pop();
                continue;
            }
            entered.insert(event.event_id());
            let next = event
                .prev_events()
                .iter()
                .filter_map(|id| among.get(&**id))
                .find(|prev| !done.contains(prev.event_id()) && !entered.contains(prev.event_id()));
            if let Some(next) = next {
                path.push(next);
            } else {
                path.pop();
                done.insert(event.event_id());
                ordered.push(event.clone());
            }
        }
    }
    ordered
}
