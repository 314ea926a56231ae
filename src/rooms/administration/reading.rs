//! What is in a room, for administrators who are not: its state, its events, a single event.

use ruma::{EventId, OwnedEventId, RoomId, api::Direction as Order};
use serde_json::value::RawValue;

use super::RoomAdministration;
use crate::{
    matrix::client_format::{ClientFormat, Unsigned, client_event},
    rooms::{EventTimes, RoomError, StoredEvent, limits},
    storage::{Direction, Read, TimelineKey, tables::TIMELINE},
};

/// A part of a room's history.
#[derive(Debug)]
pub struct AdminPage {
    /// The events, as clients see them.
    pub events: Vec<Box<RawValue>>,
    /// Where it starts.
    pub start: TimelineKey,
    /// Where to go on; `None` when there is nothing more.
    pub end: Option<TimelineKey>,
}

impl RoomAdministration {
    /// The entries of a room's current state, of one type if it is given.
    pub fn state(&self, room_id: &RoomId, event_type: Option<&str>) -> Result<Vec<Box<RawValue>>, RoomError> {
        let root = self.index.current_state(self.room(room_id)?)?;
        let mut entries = self.states.without_members(root)?;
        if event_type.is_none_or(|event_type| event_type == "m.room.member") {
            entries.extend(self.states.members(root)?);
        }
        let mut shown = Vec::new();
        for (_, short) in entries {
            let Some(stored) = self.events.get(short)? else { continue };
            if event_type.is_none_or(|event_type| stored.event.event_type() == event_type) {
                shown.push(show(&stored)?);
            }
        }
        Ok(shown)
    }

    /// The room's forward extremities, with the depth of each.
    pub fn extremities(&self, room_id: &RoomId) -> Result<Vec<(OwnedEventId, u64)>, RoomError> {
        let room = self.room(room_id)?;
        let mut found = Vec::new();
        for event in self.index.head(room)?.map(|head| head.extremities).unwrap_or_default() {
            if let Some(stored) = self.events.get(event)? {
                found.push((stored.event.event_id().to_owned(), stored.event.depth()));
            }
        }
        Ok(found)
    }

    /// The event that is nearest to a time, in milliseconds since 1970, with its own time.
    pub fn event_by_time(
        &self,
        room_id: &RoomId,
        time_ms: u64,
        order: Order,
    ) -> Result<Option<(OwnedEventId, u64)>, RoomError> {
        let times = EventTimes::new(self.storage.clone());
        let Some(event) = times.nearest_of_all(self.room(room_id)?, time_ms, order)? else { return Ok(None) };
        let stored = self.events.get(event)?;
        Ok(stored.map(|stored| (stored.event.event_id().to_owned(), stored.event.origin_server_ts())))
    }

    /// An event of any room.
    pub fn event(&self, event_id: &EventId) -> Result<Box<RawValue>, RoomError> {
        let stored = self.events.by_id(event_id)?;
        show(&stored.ok_or_else(|| RoomError::EventNotFound(event_id.to_owned()))?)
    }

    /// A page of a room's events, from the gap before a key (the end or the beginning if `None`).
    pub fn page(
        &self,
        room_id: &RoomId,
        from: Option<TimelineKey>,
        order: Order,
        limit: usize,
    ) -> Result<AdminPage, RoomError> {
        let room = self.room(room_id)?;
        let (lowest, highest) = (TimelineKey(i64::MIN), TimelineKey(i64::MAX));
        let (range, direction, start) = match order {
            Order::Forward => {
                let start = from.unwrap_or(lowest);
                (TIMELINE.between(&(room, start), &(room, highest)), Direction::Forward, start)
            }
            Order::Backward => {
                let start = from.unwrap_or(highest);
                (TIMELINE.between(&(room, lowest), &(room, start)), Direction::Backward, start)
            }
        };
        let limit = limit.clamp(1, limits::PAGE_EVENTS_MAX);
        let mut page = AdminPage { events: Vec::new(), start, end: None };
        for row in self.storage.scan(&TIMELINE, &range, direction).take(limit) {
            let ((_, key), (short, _)) = row?;
            page.end = Some(match order {
                Order::Forward => TimelineKey(key.0.saturating_add(1)),
                Order::Backward => key,
            });
            if let Some(stored) = self.events.get(short)? {
                page.events.push(show(&stored)?);
            }
        }
        if page.events.len() < limit {
            page.end = None;
        }
        Ok(page)
    }

    /// An event of a room with up to `limit` around it, as two pages: those before it, newest first, and those
    /// after it.
    pub fn context(
        &self,
        room_id: &RoomId,
        event_id: &EventId,
        limit: usize,
    ) -> Result<(Box<RawValue>, AdminPage, AdminPage), RoomError> {
        let room = self.room(room_id)?;
        let unknown = || RoomError::EventNotFound(event_id.to_owned());
        let stored = self.events.by_id(event_id)?.filter(|stored| stored.meta.room == room);
        let stored = stored.ok_or_else(unknown)?;
        let key = stored.meta.timeline.ok_or_else(unknown)?;
        let half = limit.div_ceil(2);
        let before = self.page(room_id, Some(key), Order::Backward, half)?;
        let after = self.page(room_id, Some(TimelineKey(key.0.saturating_add(1))), Order::Forward, half)?;
        Ok((show(&stored)?, before, after))
    }
}

fn show(stored: &StoredEvent) -> Result<Box<RawValue>, RoomError> {
    client_event(&stored.event, ClientFormat::WithRoomId, &Unsigned::default())
        .map_err(|error| RoomError::BadContent(error.to_string()))
}
