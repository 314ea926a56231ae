//! Rooms: timelines without gaps, states that follow from them, heads that end them.

use super::{Checker, Report};
use crate::{
    rooms::RoomError,
    state::tree::{NodeHash, StateRoot},
    storage::{
        Direction, Read, ShortEventId, ShortRoomId, StreamPosition, TimelineKey,
        records::{EventMeta, RoomHead},
        tables::{
            COUNTERS, ROOM_ACTIVITY, ROOM_CHANGE_POSITIONS, ROOM_CHANGES, ROOMS, STATE_NODES, TIMELINE,
        },
    },
};

/// What is remembered of the timeline row before.
struct Previous {
    key: TimelineKey,
    event: ShortEventId,
    position: StreamPosition,
    state_after: StateRoot,
}

impl Checker<'_> {
    /// Verifies the state nodes, then every room.
    pub(super) fn check_rooms(&self, report: &mut Report) -> Result<(), RoomError> {
        for row in self.storage.scan(&STATE_NODES, &STATE_NODES.all(), Direction::Forward) {
            let hash = NodeHash::from_bytes(row?.0);
            if let Err(e) = self.states.verify_node(hash) {
                report.problem(format!("a state node is not sound: {e}"));
            }
        }
        for row in self.storage.scan(&ROOMS, &ROOMS.all(), Direction::Forward) {
            let (room, record) = row?;
            report.rooms += 1;
            let name = self.name_room(room);
            let Some(head) = self.index.head(room)? else {
                // Of a room that somebody was invited to nothing else is known.
                let is_heard_of = record.0.create_event == ShortEventId(0);
                report.expect(is_heard_of, || format!("room {name}: it has no head"));
                continue;
            };
            if head.extremities.is_empty() {
                // Left while it was taken in from another server: the next join goes on from there.
                continue;
            }
            self.check_timeline(room, &name, &head, report)?;
            self.check_change(room, &name, report)?;
        }
        Ok(())
    }

    fn check_timeline(
        &self,
        room: ShortRoomId,
        name: &str,
        head: &RoomHead,
        report: &mut Report,
    ) -> Result<(), RoomError> {
        let mut previous: Option<Previous> = None;
        let range = TIMELINE.prefix(&(room,));
        for row in self.storage.scan(&TIMELINE, &range, Direction::Forward) {
            let ((_, key), (event, position)) = row?;
            let Some(meta) = self.events.meta(event)? else {
                report.problem(format!("room {name}: its timeline names an event without a row, {event:?}"));
                continue;
            };
            let whole = meta.room == room && meta.timeline == Some(key) && meta.position == position;
            report.expect(whole, || {
                format!("room {name}: {} and its timeline row disagree", self.name_event(event))
            });
            let state_after = self.state_after(event, &meta, name, report)?;
            if let Some(previous) = &previous {
                self.check_step(previous, key, event, &meta, name, report)?;
            }
            previous = Some(Previous { key, event, position, state_after });
        }
        let activity = self.storage.get(&ROOM_ACTIVITY, &room)?.unwrap_or_default().newest;
        let newest = previous.as_ref().filter(|newest| newest.key.0 > 0);
        report.expect(newest.is_none_or(|newest| newest.position == activity), || {
            format!("room {name}: lists of rooms are not ordered by its newest event")
        });
        let newest = previous.as_ref().map_or(TimelineKey(0), |previous| previous.key);
        report.expect(newest == head.newest, || {
            format!("room {name}: its head ends at {:?}, its timeline at {newest:?}", head.newest)
        });
        let state = StateRoot::from_bytes(head.state);
        if let Some(previous) = previous.filter(|previous| head.extremities == [previous.event]) {
            report.expect(previous.state_after == state, || {
                format!("room {name}: its current state is not the one after its last event")
            });
        }
        if let Err(e) = self.states.verify(state) {
            report.problem(format!("room {name}: its current state is not sound: {e}"));
        }
        Ok(())
    }

    /// One event after the one before it: no gap, positions rising, the state carried on.
    fn check_step(
        &self,
        previous: &Previous,
        key: TimelineKey,
        event: ShortEventId,
        meta: &EventMeta,
        name: &str,
        report: &mut Report,
    ) -> Result<(), RoomError> {
        let next_key = if previous.key.0 == -1 { 1 } else { previous.key.0 + 1 };
        report.expect(key.0 == next_key, || {
            format!("room {name}: after {:?} its timeline goes on at {key:?}", previous.key)
        });
        let rising = key.0 < 0 || meta.position > previous.position;
        report.expect(rising, || {
            format!("room {name}: {} is not at a later position than the one before", self.name_event(event))
        });
        let Some(stored) = self.events.get(event)? else { return Ok(()) };
        let before = self.storage.event_id(previous.event)?;
        if *stored.event.prev_events() == [before] {
            report.expect(meta.state_before == previous.state_after.to_bytes(), || {
                format!(
                    "room {name}: the state before {} is not the one after the event before",
                    stored.event.event_id()
                )
            });
        }
        Ok(())
    }

    fn state_after(
        &self,
        short: ShortEventId,
        meta: &EventMeta,
        name: &str,
        report: &mut Report,
    ) -> Result<StateRoot, RoomError> {
        let before = StateRoot::from_bytes(meta.state_before);
        let Ok(Some(stored)) = self.events.get(short) else { return Ok(before) };
        let Some(state_key) = stored.event.state_key() else { return Ok(before) };
        let key = self.storage.short_state_key_id(stored.event.event_type(), state_key)?;
        let Some(key) = key else {
            report.problem(format!(
                "room {name}: the state key of {} has no short id",
                stored.event.event_id()
            ));
            return Ok(before);
        };
        match self.states.root_with(before, key, short) {
            Ok(root) => Ok(root),
            Err(e) => {
                report.problem(format!(
                    "room {name}: the state before {} is not sound: {e}",
                    stored.event.event_id()
                ));
                Ok(before)
            }
        }
    }

    /// The room's place in the order of changes.
    fn check_change(&self, room: ShortRoomId, name: &str, report: &mut Report) -> Result<(), RoomError> {
        let position = self.storage.get(&ROOM_CHANGE_POSITIONS, &room)?;
        let back = match position {
            Some(position) => self.storage.get(&ROOM_CHANGES, &position)?,
            None => None,
        };
        report.expect(back == Some(room), || {
            format!("room {name}: the order of changes has it at {position:?}, where it has {back:?}")
        });
        let counter = self.storage.get(&COUNTERS, &0)?.unwrap_or(0);
        report.expect(position.is_none_or(|position| position.0 <= counter), || {
            format!("room {name}: its last change {position:?} is after the last position {counter}")
        });
        Ok(())
    }

    /// A room's id for people, even when its short id stands for nothing.
    pub(super) fn name_room(&self, room: ShortRoomId) -> String {
        self.storage.room_id(room).map_or_else(|_| format!("{room:?}"), |id| id.to_string())
    }
}
