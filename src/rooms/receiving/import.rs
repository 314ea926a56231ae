//! Taking in a room that a user here has joined through another server.
//!
//! The state becomes the room's current one in bounded steps, so that memory follows the step and not the room.
//! While that goes on the room has no ends and counts as unknown ([`Appender::begin`](crate::rooms::Appender)
//! refuses it), and its membership rows are those of the state so far: after a crash the next join goes on from
//! there. The join itself is written last and makes the room visible.

use std::sync::Arc;

use ruma::{OwnedEventId, RoomVersionId};

use super::{OpenRoom, Placed, ReceivedEvents, Reception, checks::Verdict, graph::Given, write_gaps};
use crate::{
    matrix::event::Event,
    rooms::{RoomError, appender::Appended, changes::mark_changed, limits},
    state::tree::StateRoot,
    storage::{
        ChangeScope, Direction, Read, ShortEventId, ShortStateKeyId, TimelineKey,
        records::{EventStatus, RoomHead},
        tables::{LOCAL_MEMBERS, ROOM_HEADS},
    },
};

impl ReceivedEvents {
    /// Takes in a room: the state before `newest` and the auth chain, as `send_join` answers them, and the
    /// join itself. What no rule allows is left out of the state.
    pub fn import_room(
        &self,
        version: &RoomVersionId,
        state: Vec<Event>,
        auth_chain: Vec<Event>,
        newest: Event,
    ) -> Result<Appended, RoomError> {
        let ids: Vec<OwnedEventId> = state.iter().map(|event| event.event_id().to_owned()).collect();
        let mut events = auth_chain;
        events.extend(state);
        self.store_outliers(newest.room_id(), version, events)?;
        self.enter_room(version, &ids, newest)
    }

    /// The second half of [`import_room`](Self::import_room), for a caller that has kept the state and its auth
    /// chain by [`store_outliers`](Self::store_outliers) as they came in. Events of `state` that were not kept
    /// are left out.
    pub fn enter_room(
        &self,
        version: &RoomVersionId,
        state: &[OwnedEventId],
        newest: Event,
    ) -> Result<Appended, RoomError> {
        let room_id = newest.room_id().to_owned();
        let not_found = || RoomError::RoomNotFound(room_id.clone());
        let index = self.appender.index();
        let room = index.room(&room_id)?.ok_or_else(not_found)?;
        let guard = self.appender.writers().enter(room);
        let record = index.record(room)?.filter(|record| record.version == *version);
        record.ok_or_else(not_found)?;
        let head = index.head(room)?;
        let range = LOCAL_MEMBERS.prefix(&(room,));
        let storage = self.appender.storage();
        let has_members = storage.scan(&LOCAL_MEMBERS, &range, Direction::Forward).next().is_some();
        let appended = match head {
            // Somebody else from here was quicker: one more event of a room that this server is in.
            Some(head) if has_members && !head.extremities.is_empty() => {
                let mut opened = self.opened(guard, &room_id, head)?;
                self.join_known(&mut opened, Arc::new(newest), state)
            }
            head => {
                let mut opened = self.opened(guard, &room_id, head.unwrap_or_else(empty_head))?;
                self.take_in(&mut opened, Arc::new(newest), state)
            }
        }?;
        self.appender.tell_joined(&appended);
        Ok(appended)
    }

    fn join_known(
        &self,
        room: &mut OpenRoom,
        event: Arc<Event>,
        state: &[OwnedEventId],
    ) -> Result<Appended, RoomError> {
        match self.receive_in(room, event.clone(), Some(state))? {
            Reception::Accepted(appended) => Ok(appended),
            Reception::AlreadyKnown => {
                let stored = self.appender.events().by_id(event.event_id())?;
                let stored = stored.ok_or_else(|| RoomError::EventNotFound(event.event_id().to_owned()))?;
                Ok(Appended { short: stored.short, event, position: stored.meta.position })
            }
            Reception::Rejected(reason) => Err(RoomError::Forbidden(reason)),
            Reception::SoftFailed => {
                Err(RoomError::Forbidden("the room's current state does not allow it".to_owned()))
            }
            Reception::Missing { .. } => {
                Err(RoomError::BadContent("the state before the join is incomplete".to_owned()))
            }
        }
    }

    fn take_in(
        &self,
        room: &mut OpenRoom,
        event: Arc<Event>,
        state: &[OwnedEventId],
    ) -> Result<Appended, RoomError> {
        let state = self.kept_state(room, state)?;
        let auth_events = self.auth_events(&event)?;
        if let Some(missing) = auth_events.missing.first() {
            return Err(RoomError::BadContent(format!("{missing}, which allows the join, is missing")));
        }
        // Against the state before it, which is all that there is of a current state.
        let previous = std::mem::replace(&mut room.head.state, state.to_bytes());
        let verdict = self.check(room, &event, &auth_events.found, state)?;
        room.head.state = previous;
        match verdict {
            Verdict::Allowed => {}
            Verdict::AgainstAuthEvents(refusal)
            | Verdict::AgainstStateBefore(refusal)
            | Verdict::AgainstCurrentState(refusal) => return Err(refusal.into()),
        }
        let mut missing = Vec::new();
        for event_id in event.prev_events() {
            let short = self.appender.storage().short_event_id(event_id)?;
            let meta = short.map(|short| self.appender.events().meta(short)).transpose()?.flatten();
            if !meta.is_some_and(|meta| super::graph::is_state_known(&meta)) {
                missing.push(event_id.clone());
            }
        }
        self.move_in_steps(room, state)?;
        self.write_entry(room, &Placed { event, state_before: state, missing })
    }

    /// The state that those of the events make that have been kept.
    fn kept_state(&self, room: &OpenRoom, events: &[OwnedEventId]) -> Result<StateRoot, RoomError> {
        let mut kept = Vec::with_capacity(events.len());
        for event_id in events {
            let short = self.appender.storage().short_event_id(event_id)?;
            let meta = short.map(|short| self.appender.events().meta(short)).transpose()?.flatten();
            if meta.is_some_and(|meta| meta.status != EventStatus::OutOfBand) {
                kept.push(event_id.clone());
            }
        }
        match self.given_state(room, &kept)? {
            Given::State(state) => Ok(state),
            Given::Missing(_) => Err(room.damaged("an event that was just kept is missing")),
        }
    }

    /// Makes `state` the current one, a part at a time.
    fn move_in_steps(&self, room: &mut OpenRoom, state: StateRoot) -> Result<(), RoomError> {
        let states = self.appender.states();
        room.head.extremities.clear();
        loop {
            let current = StateRoot::from_bytes(room.head.state);
            let changes: Vec<_> = states
                .tree(self.appender.storage())
                .diff(current, state)
                .take(limits::STATE_CHANGES_PER_STEP)
                .map(|entry| entry.map(|(key, _, event)| (ShortStateKeyId(key), event.map(ShortEventId))))
                .collect::<Result<_, _>>()?;
            if changes.is_empty() {
                return Ok(());
            }
            let rows_of = self.rows_of(room);
            let mut head = room.head.clone();
            self.appender.storage().write(|rows| {
                let next = states.update(rows, current, &changes)?;
                let position = rows.next_position();
                rows_of.move_state(rows, &mut head, next, position, None)?;
                rows.put(&ROOM_HEADS, &room.room, &head);
                Ok::<_, RoomError>(())
            })?;
            room.head = head;
        }
    }

    /// Writes the event by which this server enters, the room's only end.
    fn write_entry(&self, room: &mut OpenRoom, placed: &Placed) -> Result<Appended, RoomError> {
        let rows_of = self.rows_of(room);
        let mut head = room.head.clone();
        let appended = self.appender.storage().write(|rows| {
            let appended = rows_of.write_live(rows, &mut head, &placed.event, placed.state_before, None)?;
            let after = rows_of.state_after(rows, appended.short, &placed.event, placed.state_before)?;
            rows_of.move_state(rows, &mut head, after, appended.position, Some(&appended))?;
            head.extremities = vec![appended.short];
            write_gaps(rows, room, appended.short, appended.short, &placed.missing)?;
            rows.put(&ROOM_HEADS, &room.room, &head);
            mark_changed(rows, room.room, appended.position)?;
            rows.announce(ChangeScope::Room(room.room), appended.position);
            Ok::<_, RoomError>(appended)
        })?;
        room.head = head;
        self.appender.events().applied(appended.short, appended.event.clone());
        Ok(appended)
    }
}

/// The head of a room before its first event.
fn empty_head() -> RoomHead {
    RoomHead {
        depth: 0,
        state: StateRoot::EMPTY.to_bytes(),
        newest: TimelineKey(0),
        oldest: TimelineKey(0),
        extremities: Vec::new(),
    }
}
