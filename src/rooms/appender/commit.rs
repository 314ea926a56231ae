//! Everything that a batch of events changes, in one transaction.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{ClientTransaction, RoomBatch, membership_rows::MembershipChange, redaction::Redaction};
use crate::{
    matrix::event::Event,
    rooms::{RoomError, changes::mark_changed},
    state::tree::StateRoot,
    storage::{
        ChangeScope, Json, Read, ShortEventId, ShortRoomId, StreamPosition, TimelineKey, Transaction,
        records::{EventMeta, EventStatus, RoomHead, RoomRecord},
        tables::{EVENT_JSON, EVENT_META, ROOM_HEADS, ROOMS, TIMELINE},
    },
};

/// An event that waits for its batch to be committed.
#[derive(Debug)]
pub(super) struct PendingEvent {
    pub(super) event: Arc<Event>,
    pub(super) redaction: Option<Redaction>,
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
        Ok(appended)
    }

    /// The room's short id and head; for a new room, after writing its record.
    fn open_room(&self, rows: &mut Transaction<'_>) -> Result<(ShortRoomId, RoomHead), RoomError> {
        if let Some(room) = self.room() {
            let head = rows.get(&ROOM_HEADS, &room)?.ok_or_else(|| self.damaged("its head is missing"))?;
            debug_assert_eq!(head.state, self.base.to_bytes(), "only the room's guard lets its head move");
            return Ok((room, head));
        }
        let create = self.create.as_ref().ok_or_else(|| self.damaged("it has no create event"))?;
        let room = rows.intern_room(create.room_id())?;
        if rows.contains(&ROOMS, &room)? {
            return Err(RoomError::RoomIdTaken(create.room_id().to_owned()));
        }
        let record = self.new_record(create, rows.intern_event(create.event_id())?)?;
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

    fn new_record(&self, create: &Event, create_event: ShortEventId) -> Result<RoomRecord, RoomError> {
        #[derive(Deserialize)]
        struct CreateContent {
            #[serde(rename = "m.federate")]
            federate: Option<bool>,
            #[serde(rename = "type")]
            room_type: Option<String>,
        }
        let content: CreateContent = create.content().map_err(|e| {
            RoomError::BadContent(format!("the content of the create event is not valid: {e}"))
        })?;
        Ok(RoomRecord {
            version: self.version.clone(),
            create_event,
            federate: content.federate.unwrap_or(true),
            room_type: content.room_type,
        })
    }

    fn write_events(
        &self,
        rows: &mut Transaction<'_>,
        room: ShortRoomId,
        mut head: RoomHead,
    ) -> Result<Vec<Appended>, RoomError> {
        let mut appended = Vec::with_capacity(self.pending.len());
        for pending in &self.pending {
            appended.push(self.write_event(rows, room, &mut head, pending)?);
        }
        rows.put(&ROOM_HEADS, &room, &head);
        if let Some(last) = appended.last() {
            mark_changed(rows, room, last.position)?;
            rows.announce(ChangeScope::Room(room), last.position);
        }
        Ok(appended)
    }

    /// Writes one event's rows and moves the head onto it.
    fn write_event(
        &self,
        rows: &mut Transaction<'_>,
        room: ShortRoomId,
        head: &mut RoomHead,
        pending: &PendingEvent,
    ) -> Result<Appended, RoomError> {
        let event = &pending.event;
        let short = rows.intern_event(event.event_id())?;
        let position = rows.next_position();
        let timeline = TimelineKey(head.newest.0.max(0) + 1);
        let meta = EventMeta {
            room,
            sender: rows.intern_user(event.sender())?,
            timeline: Some(timeline),
            position,
            state_before: head.state,
            status: EventStatus::Accepted,
            redacted_by: None,
        };
        rows.put(&EVENT_JSON, &short, &event.json().as_bytes().to_vec());
        rows.put(&EVENT_META, &short, &meta);
        rows.put(&TIMELINE, &(room, timeline), &(short, position));
        if let Some(state_key) = event.state_key() {
            let key = rows.intern_state_key(event.event_type(), state_key)?;
            let before = StateRoot::from_bytes(head.state);
            head.state = self.appender.inner.states.set(rows, before, key, short)?.to_bytes();
            let stripped_state = pending.stripped_state.as_ref();
            let server_name = &self.appender.inner.server_name;
            MembershipChange { server_name, room, event, short, position, stripped_state }.write(rows)?;
        }
        if let Some(redaction) = &pending.redaction {
            redaction.write(rows, short)?;
        }
        head.depth = event.depth();
        head.newest = timeline;
        head.extremities = vec![short];
        Ok(Appended { short, event: event.clone(), position })
    }
}
