//! The rows of a room that follow from an accepted event, whoever made it: a user of this server or another
//! server. Every index over a room's events is written from here, so that both kinds have it.

use std::sync::Arc;

use ruma::ServerName;

use super::{Appended, membership_rows::MembershipChange, redaction::Redaction, stripped_state};
use crate::{
    matrix::event::Event,
    rooms::{EventStore, RoomError, RoomStates, activity, event_indices, resolution::index_event, sticky},
    state::tree::StateRoot,
    storage::{
        Read, ShortEventId, ShortRoomId, ShortUserId, StreamPosition, TimelineKey, Transaction,
        records::{EventMeta, EventStatus, RoomHead},
        tables::{EVENT_JSON, EVENT_META, FORKED_STATES, TIMELINE},
    },
};

/// What a room's rows are written with.
#[derive(Debug, Clone, Copy)]
pub(in crate::rooms) struct RoomRows<'a> {
    /// This server.
    pub(in crate::rooms) server_name: &'a ServerName,
    /// The states.
    pub(in crate::rooms) states: &'a RoomStates,
    /// The events that are in the store.
    pub(in crate::rooms) events: &'a EventStore,
    /// The room.
    pub(in crate::rooms) room: ShortRoomId,
    /// When the events came, in milliseconds since 1970.
    pub(in crate::rooms) now_ms: u64,
}

impl RoomRows<'_> {
    /// Writes a new event that clients can see, at the end of the room's timeline. The current state and the
    /// forward extremities are the caller's to move.
    pub(in crate::rooms) fn write_live(
        &self,
        rows: &mut Transaction<'_>,
        head: &mut RoomHead,
        event: &Arc<Event>,
        state_before: StateRoot,
        redaction: Option<&Redaction>,
    ) -> Result<Appended, RoomError> {
        let short = rows.intern_event(event.event_id())?;
        let position = rows.next_position();
        let timeline = TimelineKey(head.newest.0.max(0) + 1);
        let meta = EventMeta {
            room: self.room,
            sender: rows.intern_user(event.sender())?,
            timeline: Some(timeline),
            position,
            state_before: state_before.to_bytes(),
            status: EventStatus::Accepted,
            redacted_by: None,
        };
        Self::write_event(rows, short, event, &meta)?;
        rows.put(&TIMELINE, &(self.room, timeline), &(short, position));
        activity::note_event(rows, self.room, event.event_type(), position)?;
        if head.state != meta.state_before {
            rows.put(&FORKED_STATES, &(self.room, timeline), &head.state);
        }
        event_indices::add(rows, self.room, short, timeline, event)?;
        sticky::add(rows, self.room, (short, event), position, self.now_ms)?;
        if let Some(redaction) = redaction {
            redaction.write(rows, short)?;
        }
        head.depth = head.depth.max(event.depth());
        head.newest = timeline;
        Ok(Appended { short, event: event.clone(), position })
    }

    /// Writes an event itself, and for state its place in the chain-cover index, unless its own auth events
    /// don't allow it: then it is never in a state.
    pub(in crate::rooms) fn write_event(
        rows: &mut Transaction<'_>,
        short: ShortEventId,
        event: &Event,
        meta: &EventMeta,
    ) -> Result<(), RoomError> {
        rows.put(&EVENT_JSON, &short, &event.json().as_bytes().to_vec());
        rows.put(&EVENT_META, &short, meta);
        if let Some(state_key) = event.state_key()
            && meta.status != EventStatus::Unauthorised
        {
            let key = rows.intern_state_key(event.event_type(), state_key)?;
            index_event(rows, short, key, event)?;
        }
        Ok(())
    }

    /// The state after an event that was not rejected, whose nodes go into the transaction.
    pub(in crate::rooms) fn state_after(
        &self,
        rows: &mut Transaction<'_>,
        short: ShortEventId,
        event: &Event,
        state_before: StateRoot,
    ) -> Result<StateRoot, RoomError> {
        let Some(state_key) = event.state_key() else { return Ok(state_before) };
        let key = rows.intern_state_key(event.event_type(), state_key)?;
        Ok(self.states.set(rows, state_before, key, short)?)
    }

    /// Makes `state` the room's current one, as of `position`: brings all that is derived from the current
    /// state up to date, at the cost of what differs. `new` is an event that only this transaction knows.
    pub(in crate::rooms) fn move_state(
        &self,
        rows: &mut Transaction<'_>,
        head: &mut RoomHead,
        state: StateRoot,
        position: StreamPosition,
        new: Option<&Appended>,
    ) -> Result<(), RoomError> {
        let before = StateRoot::from_bytes(head.state);
        let differences: Vec<_> = {
            let tree = self.states.tree(&*rows);
            // Members only: nothing else of a state is kept twice.
            tree.diff(before, state).filter(is_member_or_error).collect::<Result<_, _>>()?
        };
        for (key, _, after) in differences {
            let Some(user) = crate::storage::ShortStateKeyId(key).as_member() else { continue };
            self.move_member(rows, state, user, after.map(ShortEventId), position, new)?;
        }
        head.state = state.to_bytes();
        Ok(())
    }

    fn move_member(
        &self,
        rows: &mut Transaction<'_>,
        state: StateRoot,
        user: ShortUserId,
        after: Option<ShortEventId>,
        position: StreamPosition,
        new: Option<&Appended>,
    ) -> Result<(), RoomError> {
        let Some(short) = after else {
            return MembershipChange::write_removal(rows, self.server_name, self.room, user, position);
        };
        let Some(event) = self.find(short, new)? else {
            return Err(crate::storage::StorageError::Missing {
                table: EVENT_JSON.info.name,
                key: format!("{short:?}"),
            }
            .into());
        };
        let stripped = stripped_state::shown_to_target(self.server_name, &event, |event_type, state_key| {
            let Some(key) = rows.short_state_key_id(event_type, state_key)? else { return Ok(None) };
            let held = self.states.tree(&*rows).get(state, key.0)?;
            held.map_or(Ok(None), |held| self.find(ShortEventId(held), new))
        })?;
        let change = MembershipChange {
            server_name: self.server_name,
            room: self.room,
            event: &event,
            short,
            position,
            stripped_state: stripped.as_ref(),
        };
        change.write(rows)
    }

    fn find(&self, short: ShortEventId, new: Option<&Appended>) -> Result<Option<Arc<Event>>, RoomError> {
        match new.filter(|new| new.short == short) {
            Some(new) => Ok(Some(new.event.clone())),
            None => Ok(self.events.get(short)?.map(|stored| stored.event)),
        }
    }
}

fn is_member_or_error<E>(entry: &Result<crate::state::tree::DiffEntry, E>) -> bool {
    entry.as_ref().map_or(true, |(key, ..)| crate::storage::ShortStateKeyId(*key).as_member().is_some())
}
