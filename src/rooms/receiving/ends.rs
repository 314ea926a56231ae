//! A room's ends (forward extremities): which there are after an event, what state they come to, and how they
//! are joined when they become many.

use std::collections::HashSet;

use ruma::{OwnedEventId, RoomId};

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
    /// What the event follows over events that were not accepted, and may be missing.
    pub(super) passed: Vec<OwnedEventId>,
}

/// What an event follows.
struct Followed {
    /// Events that it follows, and those that it follows over events which are no ends because they were not
    /// accepted.
    events: HashSet<ShortEventId>,
    /// What is followed by those that were not accepted.
    passed: Vec<OwnedEventId>,
}

/// What an event comes to that takes its place late, before an accepted event that follows it.
pub(super) struct FilledGap {
    /// The accepted event.
    pub(super) by: ShortEventId,
    /// What both follow over events that were not accepted, and may be missing.
    pub(super) passed: Vec<OwnedEventId>,
    /// The room's ends without those that turn out to be followed, and the state that they come to; `None` if there
    /// are none of that kind.
    pub(super) ends: Option<(Vec<ShortEventId>, StateRoot)>,
}

impl ReceivedEvents {
    /// The ends after `placed`, and the state that they come to.
    pub(super) fn ends_with(&self, room: &OpenRoom, placed: &Placed) -> Result<Ends, RoomError> {
        let Followed { events, passed } = self.followed(room, &placed.event)?;
        let mut others = room.head.extremities.clone();
        others.retain(|end| !events.contains(end));
        let is_end = others.is_empty() || self.follower(room, &placed.event)?.is_none();
        // Beyond that the oldest are left to other servers to join: what this server can't join itself would
        // make each event cost all of them.
        let surplus = others.len().saturating_sub(limits::EXTREMITIES_MAX - 1);
        others.drain(..surplus);
        if others.is_empty() {
            return Ok(Ends { others, is_end, current_state: None, passed });
        }
        let mut states = self.states_after(room, &others)?;
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
        Ok(Ends { others, is_end, current_state: Some(current_state), passed })
    }

    /// The states after some events, in their order.
    fn states_after(&self, room: &OpenRoom, ends: &[ShortEventId]) -> Result<Vec<StateRoot>, RoomError> {
        let mut states = Vec::with_capacity(ends.len() + 1);
        for end in ends {
            let stored = self.stored(*end)?.ok_or_else(|| room.damaged("one of its ends is missing"))?;
            states.push(self.appender.states().after(&stored)?);
        }
        Ok(states)
    }

    /// What `event` follows, as far as this server knows it.
    fn followed(&self, room: &OpenRoom, event: &Event) -> Result<Followed, RoomError> {
        let (mut events, mut passed) = (HashSet::new(), Vec::new());
        let mut open = event.prev_events().to_vec();
        while let Some(event_id) = open.pop() {
            let Some(stored) = self.appender.events().by_id(&event_id)? else { continue };
            let is_new = stored.meta.room == room.room && events.insert(stored.short);
            if is_new
                && stored.meta.status != EventStatus::Accepted
                && events.len() < limits::UNACCEPTED_EVENTS_FOLLOWED_MAX
            {
                open.extend_from_slice(stored.event.prev_events());
                passed.extend_from_slice(stored.event.prev_events());
            }
        }
        Ok(Followed { events, passed })
    }

    /// The accepted event that follows this one, if this one was missing until now.
    fn follower(&self, room: &OpenRoom, event: &Event) -> Result<Option<ShortEventId>, RoomError> {
        let storage = self.appender.storage();
        let Some(short) = storage.short_event_id(event.event_id())? else { return Ok(None) };
        let Some(by) = storage.get(&MISSING_EVENTS, &(room.room, short))? else { return Ok(None) };
        let meta = self.appender.events().meta(by)?;
        Ok(meta.filter(|meta| meta.status == EventStatus::Accepted).map(|_| by))
    }

    /// What it comes to that `event` takes its place without becoming an end: it is followed by an accepted event, and
    /// so is what it follows. `None` if it is not followed.
    pub(super) fn filled_gap(&self, room: &OpenRoom, event: &Event) -> Result<Option<FilledGap>, RoomError> {
        let Some(by) = self.follower(room, event)? else { return Ok(None) };
        let Followed { events, passed } = self.followed(room, event)?;
        let mut ends = room.head.extremities.clone();
        ends.retain(|end| !events.contains(end));
        // A room needs an end.
        let are_fewer = !ends.is_empty() && ends.len() < room.head.extremities.len();
        let ends = if are_fewer {
            let states = self.states_after(room, &ends)?;
            let current = self.appender.resolver().resolve(room.resolved(), None, states)?;
            Some((ends, current))
        } else {
            None
        };
        Ok(Some(FilledGap { by, passed, ends }))
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
