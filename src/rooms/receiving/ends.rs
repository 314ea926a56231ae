//! A room's ends (forward extremities): which there are after an event, what state they come to, and how they
//! are joined when they become many.

use std::collections::HashSet;

use ruma::RoomId;

use super::{OpenRoom, Placed, ReceivedEvents};
use crate::{
    matrix::event::Event,
    rooms::{DUMMY_EVENT, RoomError, appender::Draft, limits, resolution::index_event},
    state::tree::StateRoot,
    storage::{
        Direction, Read, ShortEventId,
        records::EventStatus,
        tables::{LOCAL_MEMBERS, MISSING_EVENTS},
    },
};

/// A room's ends after an event that is being accepted.
pub(super) struct Ends {
    /// Those beside the event, oldest first.
    pub(super) others: Vec<ShortEventId>,
    /// Whether the event is an end: not if something that this server has follows it.
    pub(super) is_end: bool,
    /// The room's state; `None` if it is the one after the event.
    pub(super) current_state: Option<StateRoot>,
}

impl ReceivedEvents {
    /// The ends after `placed`, and the state that they come to.
    pub(super) fn ends_with(&self, room: &OpenRoom, placed: &Placed) -> Result<Ends, RoomError> {
        let followed = self.followed(room, &placed.event)?;
        let mut others = room.head.extremities.clone();
        others.retain(|end| !followed.contains(end));
        let is_end = others.is_empty() || !self.is_followed(room, &placed.event)?;
        // Beyond that the oldest are left to other servers to join: what this server can't join itself would
        // make each event cost all of them.
        let surplus = others.len().saturating_sub(limits::EXTREMITIES_MAX - 1);
        others.drain(..surplus);
        if others.is_empty() {
            return Ok(Ends { others, is_end, current_state: None });
        }
        let mut states = Vec::with_capacity(others.len() + 1);
        for end in &others {
            let stored = self.stored(*end)?.ok_or_else(|| room.damaged("one of its ends is missing"))?;
            states.push(self.appender.states().after(&stored)?);
        }
        let resolver = self.appender.resolver();
        let current_state = if !is_end {
            resolver.resolve(room.resolved(), None, states)?
        } else if placed.event.is_state() {
            let (short, after) = self.prepare(room, placed)?;
            states.push(after);
            resolver.resolve(room.resolved(), Some((short, placed.event.clone())), states)?
        } else {
            states.push(placed.state_before);
            resolver.resolve(room.resolved(), None, states)?
        };
        Ok(Ends { others, is_end, current_state: Some(current_state) })
    }

    /// The events that `event` follows, and those that it follows over events which are no ends because they
    /// were not accepted.
    fn followed(&self, room: &OpenRoom, event: &Event) -> Result<HashSet<ShortEventId>, RoomError> {
        let mut followed = HashSet::new();
        let mut open = event.prev_events().to_vec();
        while let Some(event_id) = open.pop() {
            let Some(stored) = self.appender.events().by_id(&event_id)? else { continue };
            let is_new = stored.meta.room == room.room && followed.insert(stored.short);
            if is_new
                && stored.meta.status != EventStatus::Accepted
                && followed.len() < limits::UNACCEPTED_EVENTS_FOLLOWED_MAX
            {
                open.extend_from_slice(stored.event.prev_events());
            }
        }
        Ok(followed)
    }

    /// Whether an accepted event follows this one, which was missing until now.
    fn is_followed(&self, room: &OpenRoom, event: &Event) -> Result<bool, RoomError> {
        let storage = self.appender.storage();
        let Some(short) = storage.short_event_id(event.event_id())? else { return Ok(false) };
        let Some(by) = storage.get(&MISSING_EVENTS, &(room.room, short))? else { return Ok(false) };
        Ok(self.appender.events().meta(by)?.is_some_and(|meta| meta.status == EventStatus::Accepted))
    }

    /// Gives a state event its short id and its place in the chain-cover index ahead of the event itself, so
    /// that a resolution can take it in outside of the transaction that writes it. Rows without their event
    /// harm nobody: the event gets the same ones when it is received again.
    fn prepare(&self, room: &OpenRoom, placed: &Placed) -> Result<(ShortEventId, StateRoot), RoomError> {
        let rows_of = self.rows_of(room);
        let event = &placed.event;
        self.appender.storage().write(|rows| {
            let short = rows.intern_event(event.event_id())?;
            if let Some(state_key) = event.state_key() {
                let key = rows.intern_state_key(event.event_type(), state_key)?;
                index_event(rows, short, key, event)?;
            }
            let after = rows_of.state_after(rows, short, event, placed.state_before)?;
            Ok((short, after))
        })
    }

    /// Joins a room's ends by an event of a local member that says nothing. If none of those tried may send
    /// it, the ends stay.
    pub(super) fn join_ends(&self, room_id: &RoomId) -> Result<(), RoomError> {
        let Some(room) = self.appender.index().room(room_id)? else { return Ok(()) };
        let storage = self.appender.storage();
        let range = LOCAL_MEMBERS.prefix(&(room,));
        let members: Vec<_> = storage
            .scan(&LOCAL_MEMBERS, &range, Direction::Forward)
            .take(limits::JOINING_MEMBERS_TRIED_MAX)
            .collect::<Result<_, _>>()?;
        for ((_, user), ()) in members {
            let user = storage.user_id(user)?;
            let mut batch = self.appender.begin(room_id)?;
            match batch.push(Draft::message(&user, DUMMY_EVENT, ruma::CanonicalJsonObject::new())) {
                Ok(_) => {
                    batch.commit(None)?;
                    return Ok(());
                }
                Err(RoomError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
