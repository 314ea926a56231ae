//! Everything that a batch of events changes, in one transaction.

use std::sync::Arc;

use ruma::{OwnedEventId, RoomVersionId};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    ClientTransaction, RoomBatch, membership_rows::MembershipChange, redaction::Redaction,
    room_rows::RoomRows,
};
use crate::{
    matrix::event::Event,
    rooms::{RoomError, RoomOutbox, changes::mark_changed, resolution::ResolvedRoom},
    state::tree::StateRoot,
    storage::{
        ChangeScope, Json, Read, ShortEventId, ShortRoomId, StreamPosition, TimelineKey, Transaction,
        records::{RoomHead, RoomRecord},
        tables::{IDLE_REDACTIONS, ROOM_HEADS, ROOMS},
    },
};

/// An event that waits for its batch to be committed.
#[derive(Debug)]
pub(super) struct PendingEvent {
    pub(super) event: Arc<Event>,
    pub(super) redaction: Option<Redaction>,
    /// What it redacts once that comes from another server.
    pub(super) idle_redaction_of: Option<OwnedEventId>,
    /// For invites and knocks of this server's users.
    pub(super) stripped_state: Option<Vec<Box<RawValue>>>,
}

/// An event that is now part of its room.
#[derive(Debug, Clone)]
pub struct Appended {
    /// Its short id.
    pub short: ShortEventId,
    /// The event.
    pub event: Arc<Event>,
    /// When clients can see it.
    pub position: StreamPosition,
}

impl RoomBatch {
    /// Writes the batch. With `transaction`, its last event answers repetitions of the request.
    pub fn commit(self, transaction: Option<&ClientTransaction>) -> Result<Vec<Appended>, RoomError> {
        self.commit_with(transaction, |_, _| Ok(()))
    }

    /// Writes the batch together with what `also` writes about the room. If that fails, nothing is written.
    pub fn commit_with(
        self,
        transaction: Option<&ClientTransaction>,
        also: impl FnOnce(&mut Transaction<'_>, ShortRoomId) -> Result<(), RoomError>,
    ) -> Result<Vec<Appended>, RoomError> {
        if self.pending.is_empty() {
            return Ok(Vec::new());
        }
        let inner = self.appender.inner.clone();
        let appended = inner.storage.write(|rows| {
            let (room, head) = self.open_room(rows)?;
            let appended = self.write_events(rows, room, head)?;
            if let (Some(transaction), Some(last)) = (transaction, appended.last()) {
                inner.transaction_ids.add(rows, transaction, last.short, inner.clock.now_ms())?;
            }
            also(rows, room)?;
            Ok::<_, RoomError>(appended)
        })?;
        for (event, pending) in appended.iter().zip(&self.pending) {
            inner.events.applied(event.short, event.event.clone());
            if let Some(redaction) = &pending.redaction {
                redaction.applied(&inner.events);
                inner.power_levels.remove(&redaction.target());
            }
        }
        inner.tell_joins(&appended);
        Ok(appended)
    }

    /// The room's short id and head; for a new room, after writing its record.
    fn open_room(&self, rows: &mut Transaction<'_>) -> Result<(ShortRoomId, RoomHead), RoomError> {
        if let Some(room) = self.room() {
            let head = rows.get(&ROOM_HEADS, &room)?.ok_or_else(|| self.damaged("its head is missing"))?;
            debug_assert!(
                !self.other_ends.is_empty() || head.state == self.base.to_bytes(),
                "only the room's guard lets its head move"
            );
            return Ok((room, head));
        }
        let create = self.create.as_ref().ok_or_else(|| self.damaged("it has no create event"))?;
        let room = rows.intern_room(create.room_id())?;
        if rows.contains(&ROOMS, &room)? {
            return Err(RoomError::RoomIdTaken(create.room_id().to_owned()));
        }
        let record = record_of(&self.version, create, rows.intern_event(create.event_id())?)?;
        rows.put(&ROOMS, &room, &Json(record));
        let head = RoomHead {
            depth: 0,
            state: StateRoot::EMPTY.to_bytes(),
            newest: TimelineKey(0),
            oldest: TimelineKey(0),
            extremities: Vec::new(),
        };
        Ok((room, head))
    }

    fn write_events(
        &self,
        rows: &mut Transaction<'_>,
        room: ShortRoomId,
        mut head: RoomHead,
    ) -> Result<Vec<Appended>, RoomError> {
        let mut appended = Vec::with_capacity(self.pending.len());
        let mut state = self.base;
        for pending in &self.pending {
            appended.push(self.write_event(rows, room, &mut head, &mut state, pending)?);
        }
        rows.put(&ROOM_HEADS, &room, &head);
        if let Some(last) = appended.last() {
            mark_changed(rows, room, last.position)?;
            rows.announce(ChangeScope::Room(room), last.position);
        }
        Ok(appended)
    }

    /// Writes one event's rows and moves the head onto it. `state` is the one before the event, and then the
    /// one after it.
    fn write_event(
        &self,
        rows: &mut Transaction<'_>,
        room: ShortRoomId,
        head: &mut RoomHead,
        state: &mut StateRoot,
        pending: &PendingEvent,
    ) -> Result<Appended, RoomError> {
        let inner = &self.appender.inner;
        let room_rows = RoomRows {
            server_name: &inner.server_name,
            states: &inner.states,
            events: &inner.events,
            room,
            now_ms: inner.clock.now_ms(),
        };
        let appended =
            room_rows.write_live(rows, head, &pending.event, *state, pending.redaction.as_ref())?;
        let Appended { short, event, position } = &appended;
        if let Some(target) = &pending.idle_redaction_of {
            let target = rows.intern_event(target)?;
            rows.put(&IDLE_REDACTIONS, &(target, *short), &());
        }
        *state = room_rows.state_after(rows, *short, event, *state)?;
        if self.other_ends.is_empty() {
            head.state = state.to_bytes();
            let change = MembershipChange {
                server_name: &inner.server_name,
                room,
                event,
                short: *short,
                position: *position,
                stripped_state: pending.stripped_state.as_ref(),
            };
            change.write(rows)?;
        } else {
            let current = self.resolve_with_other_ends(rows, room, *state)?;
            room_rows.move_state(rows, head, current, *position, Some(&appended))?;
        }
        RoomOutbox::add(rows, &inner.server_name, room, *short, *position)?;
        head.extremities = self.other_ends.iter().map(|(end, _)| *end).chain([appended.short]).collect();
        Ok(appended)
    }

    /// The current state of a room with more ends than an event may name, one of which has `state`.
    fn resolve_with_other_ends(
        &self,
        rows: &mut Transaction<'_>,
        room: ShortRoomId,
        state: StateRoot,
    ) -> Result<StateRoot, RoomError> {
        let inner = &self.appender.inner;
        let record = inner.index.record(room)?.ok_or_else(|| self.damaged("its record is missing"))?;
        let room = ResolvedRoom { rules: &self.rules, create: record.create_event };
        let mut new = Vec::with_capacity(self.pending.len());
        for pending in &self.pending {
            // Those that come later in the batch have no short id yet, and are in no state.
            if let Some(short) = rows.short_event_id(pending.event.event_id())? {
                new.push((short, pending.event.clone()));
            }
        }
        let states = self.other_ends.iter().map(|(_, state)| *state).chain([state]);
        inner.resolver.resolve_within(rows, room, new, states)
    }
}

/// What a create event says of its room for good.
pub(in crate::rooms) fn record_of(
    version: &RoomVersionId,
    create: &Event,
    create_event: ShortEventId,
) -> Result<RoomRecord, RoomError> {
    #[derive(Deserialize)]
    struct CreateContent {
        #[serde(rename = "m.federate")]
        federate: Option<bool>,
        #[serde(rename = "type")]
        room_type: Option<String>,
    }
    let content: CreateContent = create
        .content()
        .map_err(|e| RoomError::BadContent(format!("the content of the create event is not valid: {e}")))?;
    Ok(RoomRecord {
        version: version.clone(),
        create_event,
        federate: content.federate.unwrap_or(true),
        room_type: content.room_type,
    })
}
