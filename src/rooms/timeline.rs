//! A room's history in pages, both ways, and the surroundings of an event.
//!
//! A page costs what it shows, and never more than the bounds in [`limits`]: when a filter or the room's
//! visibility drops much, the page ends early with a token to go on from. Reading stops at the newest
//! durable position, so that nothing is shown that a power cut could take back. Main type: [`Timelines`].

use ruma::{EventId, api::Direction as Order};

use super::{
    EventFilter, EventStore, PaginationToken, ReadError, RoomError, RoomStates, RoomView, VisibleEvent,
    limits,
};
use crate::{
    state::tree::StateRoot,
    storage::{
        Direction, Read, ShortEventId, ShortRoomId, ShortStateKeyId, Storage, StorageError, StreamPosition,
        TimelineKey, tables::TIMELINE,
    },
};

/// What a client asks for.
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// Where to start; `None` for the newest (backward) or oldest (forward) event.
    pub from: Option<PaginationToken>,
    /// Where to stop at the latest.
    pub to: Option<PaginationToken>,
    /// Which way to go.
    pub order: Order,
    /// The most events to return; kept between 1 and [`limits::PAGE_EVENTS_MAX`].
    pub limit: usize,
    /// Which events to return.
    pub filter: EventFilter,
}

/// A part of a room's history, in the order asked for.
#[derive(Debug)]
pub struct Page {
    /// Where the page starts.
    pub start: PaginationToken,
    /// Where to go on; `None` when there is nothing more.
    pub end: Option<PaginationToken>,
    /// How far the room was read: where to go on once there is more, though `end` says that there is nothing.
    pub reached: PaginationToken,
    /// The events.
    pub events: Vec<VisibleEvent>,
}

/// An event with those around it.
#[derive(Debug)]
pub struct Context {
    /// The event.
    pub event: VisibleEvent,
    /// Those before it, newest first.
    pub before: Vec<VisibleEvent>,
    /// Those after it, oldest first.
    pub after: Vec<VisibleEvent>,
    /// From here on backward.
    pub start: PaginationToken,
    /// From here on forward.
    pub end: PaginationToken,
    /// Whether there are fewer before it than asked for because the history known here ends.
    pub ends_early: bool,
    /// The state after the last of these events; with lazily loaded members, only the senders'.
    pub state: Vec<VisibleEvent>,
}

/// The events around one.
#[derive(Debug)]
pub struct Surroundings {
    /// Those before it, newest first.
    pub before: Vec<VisibleEvent>,
    /// Those after it, oldest first.
    pub after: Vec<VisibleEvent>,
    /// From here on backward.
    pub start: PaginationToken,
    /// From here on forward.
    pub end: PaginationToken,
}

/// Reads timelines. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Timelines {
    storage: Storage,
    events: EventStore,
    states: RoomStates,
}

/// A scan's outcome.
struct Scanned {
    events: Vec<VisibleEvent>,
    /// The gap behind the last row looked at.
    reached: TimelineKey,
    /// False when rows are left in the range.
    exhausted: bool,
}

impl Timelines {
    /// Over the rooms' events and states.
    pub fn new(storage: Storage, events: EventStore, states: RoomStates) -> Self {
        Self { storage, events, states }
    }

    /// A page of what the viewer may see.
    pub fn page(&self, view: &RoomView<'_>, request: &PageRequest) -> Result<Page, RoomError> {
        let (first, last) = (TimelineKey(i64::MIN), view.timeline_end()?);
        let edge = if request.order == Order::Forward { first } else { last };
        let from = self.gap_or(view, request.from, edge)?;
        let (low, high) = match request.order {
            Order::Forward => (from, self.gap_or(view, request.to, last)?.min(last)),
            Order::Backward => (self.gap_or(view, request.to, first)?, from.min(last)),
        };
        let limit = request.limit.min(request.filter.limit().unwrap_or(usize::MAX));
        let limit = limit.clamp(1, limits::PAGE_EVENTS_MAX);
        let scanned = self.scan(view, (low, high), request.order, limit, &request.filter)?;
        let end = (!scanned.exhausted).then_some(PaginationToken::Before(scanned.reached));
        let start = request.from.unwrap_or(PaginationToken::Before(from));
        let reached = PaginationToken::Before(scanned.reached);
        Ok(Page { start, end, reached, events: scanned.events })
    }

    /// An event and up to `limit` around it. [`ReadError::NotFound`] when the viewer may not see the event.
    pub fn context(
        &self,
        view: &RoomView<'_>,
        event_id: &EventId,
        limit: usize,
        filter: &EventFilter,
    ) -> Result<Context, ReadError> {
        let event = self.event(view, event_id)?;
        let key = event.meta().timeline.ok_or(ReadError::NotFound("Event"))?;
        let limit = limit.min(filter.limit().unwrap_or(usize::MAX)).min(limits::PAGE_EVENTS_MAX);
        let next = TimelineKey(key.0.saturating_add(1));
        let older = (TimelineKey(i64::MIN), key);
        let newer = (next, view.timeline_end()?);
        let before = self.scan(view, older, Order::Backward, limit / 2, filter)?;
        let after = self.scan(view, newer, Order::Forward, limit - limit / 2, filter)?;
        let end = if after.events.is_empty() { next } else { after.reached };
        let start = if before.events.is_empty() { key } else { before.reached };
        let shown = || before.events.iter().chain([&event]).chain(&after.events);
        let state = self.context_state(view, end, shown(), filter)?;
        let [start, end] = [start, end].map(PaginationToken::Before);
        let ends_early = before.exhausted && before.events.len() < limit / 2;
        Ok(Context { before: before.events, after: after.events, event, start, end, ends_early, state })
    }

    /// Up to `before` and `after` events around one that the viewer sees, of any kind; without state.
    pub fn surroundings(
        &self,
        view: &RoomView<'_>,
        event: &VisibleEvent,
        (before, after): (usize, usize),
    ) -> Result<Surroundings, ReadError> {
        let key = event.meta().timeline.ok_or(ReadError::NotFound("Event"))?;
        let next = TimelineKey(key.0.saturating_add(1));
        let (older, newer) = ((TimelineKey(i64::MIN), key), (next, view.timeline_end()?));
        let all = EventFilter::default();
        let mut around = Surroundings {
            before: Vec::new(),
            after: Vec::new(),
            start: PaginationToken::Before(key),
            end: PaginationToken::Before(next),
        };
        if before > 0 {
            let scanned = self.scan(view, older, Order::Backward, before, &all)?;
            around.start = PaginationToken::Before(scanned.reached);
            around.before = scanned.events;
        }
        if after > 0 && newer.0 < newer.1 {
            let scanned = self.scan(view, newer, Order::Forward, after, &all)?;
            around.end = PaginationToken::Before(scanned.reached);
            around.after = scanned.events;
        }
        Ok(around)
    }

    /// A single event. [`ReadError::NotFound`] when there is none in this room that the viewer may see.
    pub fn event(&self, view: &RoomView<'_>, event_id: &EventId) -> Result<VisibleEvent, ReadError> {
        let stored = self.events.by_id(event_id)?.ok_or(ReadError::NotFound("Event"))?;
        let short = stored.short;
        if let Some(seen) = view.sees(stored)? {
            return Ok(seen);
        }
        // An entry of the state that the viewer may read is no secret, wherever it stands in history.
        self.in_readable_state(view, short)?.ok_or(ReadError::NotFound("Event"))
    }

    fn in_readable_state(
        &self,
        view: &RoomView<'_>,
        short: ShortEventId,
    ) -> Result<Option<VisibleEvent>, RoomError> {
        let Some(root) = view.state()? else { return Ok(None) };
        let Some(event) = view.state_event(short)? else { return Ok(None) };
        let state_key = event.event().state_key().unwrap_or_default();
        let holder = self.states.get(root, event.event().event_type(), state_key)?;
        Ok(Some(event).filter(|_| holder == Some(short)))
    }

    /// The member events of the senders of these events, as they were at each sender's first one here: what
    /// a client needs that loads members lazily.
    pub fn senders<'e>(
        &self,
        view: &RoomView<'_>,
        events: impl IntoIterator<Item = &'e VisibleEvent>,
    ) -> Result<Vec<VisibleEvent>, RoomError> {
        let mut seen = std::collections::HashSet::new();
        let mut members = Vec::new();
        for event in events {
            let sender = event.meta().sender;
            if !seen.insert(sender) {
                continue;
            }
            let root = StateRoot::from_bytes(event.meta().state_before);
            if let Some(member) = self.states.get_short(root, ShortStateKeyId::member(sender))? {
                members.extend(view.state_event(member)?);
            }
        }
        Ok(members)
    }

    /// The first key past everything that a sync up to `position` has told of a room.
    pub fn first_after(
        &self,
        room: ShortRoomId,
        position: StreamPosition,
        end: TimelineKey,
    ) -> Result<TimelineKey, StorageError> {
        first_after(&self.storage, room, position, end)
    }

    /// The gap that a token names in the view's room.
    pub fn gap(&self, view: &RoomView<'_>, token: PaginationToken) -> Result<TimelineKey, RoomError> {
        match token {
            PaginationToken::Before(key) => Ok(key),
            PaginationToken::Sync(token) => {
                Ok(self.first_after(view.room(), token.position, view.timeline_end()?)?)
            }
        }
    }

    fn gap_or(
        &self,
        view: &RoomView<'_>,
        token: Option<PaginationToken>,
        otherwise: TimelineKey,
    ) -> Result<TimelineKey, RoomError> {
        token.map_or(Ok(otherwise), |token| self.gap(view, token))
    }

    /// The visible events of `low <= key < high` that pass the filter.
    fn scan(
        &self,
        view: &RoomView<'_>,
        (low, high): (TimelineKey, TimelineKey),
        order: Order,
        limit: usize,
        filter: &EventFilter,
    ) -> Result<Scanned, RoomError> {
        let room = view.room();
        let (edge, direction) = match order {
            Order::Forward => (low, Direction::Forward),
            Order::Backward => (high, Direction::Backward),
        };
        let mut scanned = Scanned { events: Vec::new(), reached: edge, exhausted: true };
        let durable = self.storage.position();
        let range = TIMELINE.between(&(room, low), &(room, high));
        let mut bytes = 0;
        for (rows, row) in self.storage.scan(&TIMELINE, &range, direction).enumerate() {
            let ((_, key), (event, position)) = row?;
            if position > durable {
                continue;
            }
            let full = scanned.events.len() >= limit || bytes >= limits::PAGE_BYTES_MAX;
            if full || rows >= limits::PAGE_ROWS_READ_MAX {
                scanned.exhausted = false;
                break;
            }
            scanned.reached = match order {
                Order::Forward => TimelineKey(key.0.saturating_add(1)),
                Order::Backward => key,
            };
            if let Some(event) = self.shown(view, event, filter)? {
                bytes += event.event().json().len();
                scanned.events.push(event);
            }
        }
        Ok(scanned)
    }

    fn shown(
        &self,
        view: &RoomView<'_>,
        event: ShortEventId,
        filter: &EventFilter,
    ) -> Result<Option<VisibleEvent>, RoomError> {
        let Some(stored) = self.events.get(event)? else { return Ok(None) };
        if filter.allows(&stored.event) { view.sees(stored) } else { Ok(None) }
    }

    fn context_state<'e>(
        &self,
        view: &RoomView<'_>,
        end: TimelineKey,
        shown: impl Iterator<Item = &'e VisibleEvent>,
        filter: &EventFilter,
    ) -> Result<Vec<VisibleEvent>, RoomError> {
        let Some(root) = view.readable_state_at(end)? else { return Ok(Vec::new()) };
        let mut entries = self.states.without_members(root)?;
        if filter.lazy_loads_members() {
            let senders: std::collections::BTreeSet<_> =
                shown.map(|event| ShortStateKeyId::member(event.meta().sender)).collect();
            let senders: Vec<_> = senders.into_iter().collect();
            let members = self.states.get_many(root, &senders)?;
            entries.extend(senders.into_iter().zip(members).filter_map(|(key, event)| Some((key, event?))));
        } else {
            entries.extend(self.states.members(root)?);
        }
        let mut state = view.state_events(entries.into_iter().map(|(_, event)| event))?;
        state.retain(|event| filter.allows(event.event()));
        Ok(state)
    }
}

/// The first key past everything that was there at a position; `end` is a key that came later.
pub(super) fn first_after(
    storage: &Storage,
    room: ShortRoomId,
    position: StreamPosition,
    end: TimelineKey,
) -> Result<TimelineKey, StorageError> {
    // Positions grow with the keys of live events, which count up from 1: a binary search by point reads.
    let (mut low, mut high) = (1_i64, end.0.max(1));
    while low < high {
        let middle = low + (high - low) / 2;
        let range = TIMELINE.prefix_from(&(room,), &(room, TimelineKey(middle)));
        match storage.scan(&TIMELINE, &range, Direction::Forward).next().transpose()? {
            Some(((_, key), (_, at))) if at <= position => low = key.0.saturating_add(1),
            _ => high = middle,
        }
    }
    Ok(TimelineKey(low))
}
