//! Events of other servers on their way into a room: the checks on receipt, the state before each event and the
//! room's current state by resolution over its ends, and everything that follows from both.
//!
//! For: [`ReceivedEvents`], which takes events whose signatures have been checked and whose content hash has
//! been dealt with. Never: talks to a server or checks a signature; what is missing is told to the caller, who
//! fetches it ([`Reception::Missing`]). Each call waits for the room's turn, as those who make events here do,
//! and holds its thread meanwhile; rooms work in parallel.
//!
//! Cost of an event: its auth events and prev events, a few point reads in their states, and for a fork the
//! conflict. Nothing here walks a room, but for the taking in of a whole one ([`ReceivedEvents::enter_room`]).

mod backfill;
mod checks;
mod ends;
mod graph;
mod import;
mod open_room;
mod out_of_band;
mod outliers;
mod redactions;

#[cfg(test)]
mod gap_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use ruma::{EventId, OwnedEventId, RoomId};

pub use self::{
    backfill::{Backfilled, GivenStates},
    outliers::Outliers,
};
use self::{checks::Verdict, ends::FilledGap, graph::Before, open_room::OpenRoom};
use super::{
    Appender, RoomError, RoomOutbox, StoredEvent,
    appender::{Appended, RoomRows},
    changes::mark_changed,
};
use crate::{
    matrix::event::Event,
    state::tree::StateRoot,
    storage::{
        ChangeScope, Direction, Read, ShortEventId, StreamPosition, TimelineKey, Transaction,
        records::{EventMeta, EventStatus},
        tables::{EVENT_META, MISSING_EVENTS, ROOM_HEADS, TIMELINE},
    },
};

/// Takes in events of other servers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ReceivedEvents {
    appender: Appender,
}

/// What came of an event.
#[derive(Debug, Clone)]
pub enum Reception {
    /// Part of the room, and shown to clients.
    Accepted(Appended),
    /// Part of the graph, not shown: the room's current state does not allow it.
    SoftFailed,
    /// Kept, marked as rejected: its auth events or the state before it don't allow it.
    Rejected(String),
    /// This server has accepted it before.
    AlreadyKnown,
    /// Nothing was kept: these events are needed first.
    Missing {
        /// Events that it follows, whose place in the graph is not known.
        prev_events: Vec<OwnedEventId>,
        /// Auth events, or entries of the state given for it, that are not known at all.
        auth_events: Vec<OwnedEventId>,
    },
}

/// An event that has passed check 4 or failed it, and whose state before is known.
struct Placed {
    event: Arc<Event>,
    state_before: StateRoot,
    /// The events that it follows and that this server lacks.
    missing: Vec<OwnedEventId>,
}

impl ReceivedEvents {
    /// Takes events into the rooms of `appender`.
    pub fn new(appender: Appender) -> Self {
        Self { appender }
    }

    /// The rooms' appender.
    pub fn appender(&self) -> &Appender {
        &self.appender
    }

    /// Takes in an event of a room that this server is in. All six checks on receipt have been made, but for
    /// the first three, when this answers anything but [`Reception::Missing`].
    pub fn receive(&self, event: Event) -> Result<Reception, RoomError> {
        self.receive_event(Arc::new(event), None, false)
    }

    /// As [`receive`](Self::receive), for an event that goes into the room through this server: a member event of
    /// another server's user that was handed to this one, or an invite of this server's that the invited user's
    /// server has signed. All servers of the room but the sender's are sent it.
    pub fn receive_and_pass_on(&self, event: Event) -> Result<Reception, RoomError> {
        self.receive_event(Arc::new(event), None, true)
    }

    /// As [`receive`](Self::receive), where events that it follows can't be had: `state_before` is the state
    /// before it as another server has it (`/state_ids`), all of whose events are in the store. States after
    /// those events that it follows and that are known count as well.
    pub fn receive_with_state(
        &self,
        event: Event,
        state_before: &[OwnedEventId],
    ) -> Result<Reception, RoomError> {
        self.receive_event(Arc::new(event), Some(state_before), false)
    }

    fn receive_event(
        &self,
        event: Arc<Event>,
        given: Option<&[OwnedEventId]>,
        passes_on: bool,
    ) -> Result<Reception, RoomError> {
        let room_id = event.room_id().to_owned();
        let mut room = self.open(&room_id)?;
        room.passes_on = passes_on;
        let reception = self.receive_in(&mut room, event, given)?;
        // Not at every event, where nobody here may join them.
        let is_forked = room.head.extremities.len() % super::limits::EXTREMITIES_UNJOINED_MAX == 1;
        let is_forked = is_forked && room.head.extremities.len() > 1;
        drop(room);
        if is_forked && let Err(error) = self.join_ends(&room_id) {
            // The event itself is in.
            tracing::warn!(room = %room_id, "the ends of a room were not joined: {error}");
        }
        Ok(reception)
    }

    fn receive_in(
        &self,
        room: &mut OpenRoom,
        event: Arc<Event>,
        given: Option<&[OwnedEventId]>,
    ) -> Result<Reception, RoomError> {
        if self.is_placed(&event)? {
            return self.reception_before(&event);
        }
        if event.prev_events().is_empty() {
            // Only the create event follows nothing, and that one is known.
            return Ok(Reception::Rejected("it follows no event of the room".to_owned()));
        }
        let auth_events = self.auth_events(&event)?;
        let given = given.map(|given| self.given_state(room, given)).transpose()?;
        let (before, missing) = match self.state_before(room, &event, given)? {
            Before::Known { state, missing } => (state, missing),
            Before::OtherRoom(other) => {
                return Ok(Reception::Rejected(format!("it follows {other}, an event of another room")));
            }
            Before::Unknown { prev_events, state_events } => {
                let mut needed = auth_events.missing;
                needed.extend(state_events);
                return Ok(Reception::Missing { prev_events, auth_events: needed });
            }
        };
        if !auth_events.missing.is_empty() {
            return Ok(Reception::Missing { prev_events: Vec::new(), auth_events: auth_events.missing });
        }
        let verdict = self.check(room, &event, &auth_events.found, before)?;
        let placed = Placed { event, state_before: before, missing };
        match verdict {
            Verdict::Allowed => self.accept(room, placed).map(Reception::Accepted),
            Verdict::AgainstCurrentState(refusal) => {
                tracing::debug!(event = %placed.event.event_id(), "soft-failed: {refusal}");
                self.keep(room, &placed, EventStatus::SoftFailed)?;
                Ok(Reception::SoftFailed)
            }
            Verdict::AgainstStateBefore(refusal) => {
                self.keep(room, &placed, EventStatus::Rejected)?;
                Ok(Reception::Rejected(refusal.to_string()))
            }
            Verdict::AgainstAuthEvents(refusal) => {
                self.keep(room, &placed, EventStatus::Unauthorised)?;
                Ok(Reception::Rejected(refusal.to_string()))
            }
        }
    }

    /// What came of an event whose place in the graph is known: who hands in again what was refused is refused again.
    fn reception_before(&self, event: &Event) -> Result<Reception, RoomError> {
        let stored = self.appender.events().by_id(event.event_id())?;
        Ok(match stored.map(|stored| stored.meta.status) {
            Some(EventStatus::SoftFailed) => Reception::SoftFailed,
            Some(status) if status.is_rejected() => {
                Reception::Rejected("it has been rejected before".to_owned())
            }
            _ => Reception::AlreadyKnown,
        })
    }

    /// Whether an event is known with its place in the graph, so that receiving it changes nothing.
    pub fn is_known(&self, event: &Event) -> Result<bool, RoomError> {
        self.is_placed(event)
    }

    /// Whether an event is in the store and has been checked, with or without its place in the graph.
    pub fn is_stored(&self, event_id: &EventId) -> Result<bool, RoomError> {
        let storage = self.appender.storage();
        let Some(short) = storage.short_event_id(event_id)? else { return Ok(false) };
        let meta = storage.get(&EVENT_META, &short)?;
        Ok(meta.is_some_and(|meta| meta.status != EventStatus::OutOfBand))
    }

    /// The depth of the first event that this server has seen happen in a room: its create event, or the join
    /// by which this server came in. What lies before is history.
    pub fn first_depth(&self, room_id: &RoomId) -> Result<u64, RoomError> {
        let Some(room) = self.appender.index().room(room_id)? else { return Ok(0) };
        let range = TIMELINE.prefix_from(&(room,), &(room, TimelineKey(1)));
        let first = self.appender.storage().scan(&TIMELINE, &range, Direction::Forward).next().transpose()?;
        let Some((_, (event, _))) = first else { return Ok(0) };
        Ok(self.stored(event)?.map_or(0, |stored| stored.event.depth()))
    }

    /// Those of the events that are in the store and have been checked.
    pub fn known_outliers(&self, mut events: Vec<OwnedEventId>) -> Result<Vec<OwnedEventId>, RoomError> {
        let mut failed = None;
        events.retain(|event_id| match self.is_stored(event_id) {
            Ok(is_stored) => is_stored,
            Err(error) => {
                failed = Some(error);
                false
            }
        });
        failed.map_or(Ok(events), Err)
    }

    /// Whether the event is known with its place in the graph.
    fn is_placed(&self, event: &Event) -> Result<bool, RoomError> {
        let storage = self.appender.storage();
        let Some(short) = storage.short_event_id(event.event_id())? else { return Ok(false) };
        let meta = storage.get(&EVENT_META, &short)?;
        Ok(meta.is_some_and(|meta| graph::is_state_known(&meta) || event.event_type() == "m.room.create"))
    }

    /// Writes an event that clients never see, or not yet. If it fills a gap, what it follows is followed by what comes
    /// after the gap, and is no end of the room any more.
    fn keep(&self, room: &mut OpenRoom, placed: &Placed, status: EventStatus) -> Result<(), RoomError> {
        let filled = self.filled_gap(room, &placed.event)?;
        let rows_of = self.rows_of(room);
        let redacted = self.redacted_before(room, &placed.event)?;
        let (event, redacted_by) = match &redacted {
            Some(redacted) => (&redacted.event, Some(redacted.redaction)),
            None => (&placed.event, None),
        };
        let mut head = room.head.clone();
        let short = self.appender.storage().write(|rows| {
            let short = rows.intern_event(placed.event.event_id())?;
            let meta = EventMeta {
                room: room.room,
                sender: rows.intern_user(placed.event.sender())?,
                timeline: None,
                position: StreamPosition(0),
                state_before: placed.state_before.to_bytes(),
                status,
                redacted_by,
            };
            RoomRows::write_event(rows, short, event, &meta)?;
            if !status.is_rejected() {
                // Its nodes: events that follow it need them.
                rows_of.state_after(rows, short, event, placed.state_before)?;
            }
            // Of refused events nobody can tell later by what they are followed: so that is noted at once.
            let by = filled.as_ref().map_or(short, |filled| filled.by);
            write_gaps(rows, room, short, by, &placed.missing)?;
            if let Some(FilledGap { passed, ends, .. }) = &filled {
                pass_on_gaps(rows, room, passed, by)?;
                if let Some((ends, current)) = ends {
                    let position = rows.next_position();
                    rows_of.move_state(rows, &mut head, *current, position, None)?;
                    head.extremities.clone_from(ends);
                    rows.put(&ROOM_HEADS, &room.room, &head);
                    mark_changed(rows, room.room, position)?;
                    rows.announce(ChangeScope::Room(room.room), position);
                }
            }
            Ok::<_, RoomError>(short)
        })?;
        self.appender.events().applied(short, event.clone());
        room.head = head;
        Ok(())
    }

    /// Writes an event that has passed all checks, and moves the room's ends and current state.
    fn accept(&self, room: &mut OpenRoom, placed: Placed) -> Result<Appended, RoomError> {
        let ends = self.ends_with(room, &placed)?;
        let redaction = self.redaction_by(room, &placed.event, placed.state_before)?;
        let redacted_by = self.early_redaction(room, &placed.event)?;
        let event = match &redacted_by {
            Some(redacted) => redacted.event.clone(),
            None => placed.event.clone(),
        };
        let rows_of = self.rows_of(room);
        let mut head = room.head.clone();
        let appended = self.appender.storage().write(|rows| {
            let before = placed.state_before;
            let appended = rows_of.write_live(rows, &mut head, &event, before, redaction.effective())?;
            redaction.write_idle(rows, appended.short)?;
            if let Some(redacted) = &redacted_by {
                redacted.write(rows, appended.short)?;
            }
            let after = rows_of.state_after(rows, appended.short, &event, before)?;
            let current = ends.current_state.unwrap_or(after);
            rows_of.move_state(rows, &mut head, current, appended.position, Some(&appended))?;
            head.extremities.clone_from(&ends.others);
            if ends.is_end {
                head.extremities.push(appended.short);
            }
            write_gaps(rows, room, appended.short, appended.short, &placed.missing)?;
            pass_on_gaps(rows, room, &ends.passed, appended.short)?;
            rows.put(&ROOM_HEADS, &room.room, &head);
            if room.passes_on {
                let (own, position) = (self.appender.server_name(), appended.position);
                RoomOutbox::add(rows, own, room.room, appended.short, position)?;
            }
            mark_changed(rows, room.room, appended.position)?;
            rows.announce(ChangeScope::Room(room.room), appended.position);
            Ok::<_, RoomError>(appended)
        })?;
        room.head = head;
        let events = self.appender.events();
        // What was kept of it as an outlier may be cached unredacted.
        events.replaced(appended.short);
        events.applied(appended.short, event);
        if let Some(redaction) = redaction.effective() {
            redaction.applied(events);
            self.appender.power_levels().remove(&redaction.target());
        }
        Ok(appended)
    }

    fn rows_of(&self, room: &OpenRoom) -> RoomRows<'_> {
        RoomRows {
            server_name: self.appender.server_name(),
            states: self.appender.states(),
            events: self.appender.events(),
            room: room.room,
            now_ms: self.appender.now_ms(),
        }
    }

    fn stored(&self, short: ShortEventId) -> Result<Option<StoredEvent>, RoomError> {
        self.appender.events().get(short)
    }
}

/// Keeps account of where history is missing: this event is not, what it follows may be. `by` is the event that is
/// known to follow that: this one, or an accepted one that follows both.
fn write_gaps(
    rows: &mut Transaction<'_>,
    room: &OpenRoom,
    short: ShortEventId,
    by: ShortEventId,
    missing: &[OwnedEventId],
) -> Result<(), RoomError> {
    rows.delete(&MISSING_EVENTS, &(room.room, short));
    for missing in missing {
        let missing = rows.intern_event(missing)?;
        rows.put(&MISSING_EVENTS, &(room.room, missing), &by);
    }
    Ok(())
}

/// Notes of those of the events that are missing that the accepted event `by` follows them, over others.
fn pass_on_gaps(
    rows: &mut Transaction<'_>,
    room: &OpenRoom,
    events: &[OwnedEventId],
    by: ShortEventId,
) -> Result<(), RoomError> {
    for event in events {
        if let Some(missing) = rows.short_event_id(event)?
            && rows.get(&MISSING_EVENTS, &(room.room, missing))?.is_some()
        {
            rows.put(&MISSING_EVENTS, &(room.room, missing), &by);
        }
    }
    Ok(())
}
