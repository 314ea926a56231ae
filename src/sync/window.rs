//! The newest part of a room's timeline within a span of stream positions, and the states around it.
//!
//! Reads backward from the newest event: costs what it returns, and what a filter or the room's visibility
//! drops on the way, up to [`limits::TIMELINE_ROWS_SCANNED_MAX`].

use super::limits;
use crate::{
    matrix::Event,
    rooms::{
        EventStore, PaginationToken, RoomError, RoomIndex, RoomView, StateHistory, Timelines, VisibleEvent,
    },
    state::tree::StateRoot,
    storage::{
        Direction, KeyRange, Read, ShortEventId, ShortRoomId, Storage, StreamPosition, TimelineKey,
        tables::TIMELINE,
    },
};

/// A span of stream positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// What came after this; `None` for everything.
    pub since: Option<StreamPosition>,
    /// Up to and including this.
    pub until: StreamPosition,
}

/// A part of a timeline.
#[derive(Debug)]
pub struct Window {
    /// The events, oldest first.
    pub events: Vec<VisibleEvent>,
    /// True when the span holds more than the limit.
    pub limited: bool,
    /// Where older events are found; `None` when the window is empty and nothing was left out.
    pub before: Option<PaginationToken>,
    /// True when anything happened in the span, shown or not.
    pub has_rows: bool,
    /// The state at the span's start; `None` when it has no start.
    pub state_since: Option<StateRoot>,
    /// The state before the first event shown; the state at the end if none is.
    pub state_before: StateRoot,
    /// The state at the span's end.
    pub state_end: StateRoot,
}

/// Reads windows. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Windows {
    storage: Storage,
    index: RoomIndex,
    events: EventStore,
    timelines: Timelines,
    history: StateHistory,
}

impl Windows {
    /// Over the rooms' timelines.
    pub fn new(storage: Storage, index: RoomIndex, events: EventStore, timelines: Timelines) -> Self {
        let history = StateHistory::new(storage.clone(), index.clone(), events.clone());
        Self { storage, index, events, timelines, history }
    }

    /// The newest events of a span that the viewer may see and `is_wanted` takes, at most `limit`.
    pub fn read(
        &self,
        view: &RoomView<'_>,
        span: Span,
        limit: usize,
        is_wanted: impl Fn(&Event) -> bool,
    ) -> Result<Window, RoomError> {
        let room = view.room();
        let head = self.index.head(room)?;
        let mut found = Found::new(head.map_or(StateRoot::EMPTY, |head| StateRoot::from_bytes(head.state)));
        let newest = TIMELINE.prefix(&(room,));
        if let Some(later) = self.walk(view, &newest, span, limit, &is_wanted, &mut found)? {
            let end = self.timelines.first_after(room, span.until, later)?;
            if let Some(state) = self.history.at(room, end)? {
                found.state_end = state;
            }
            let range = TIMELINE.between(&(room, TimelineKey(i64::MIN)), &(room, end));
            self.walk(view, &range, span, limit, &is_wanted, &mut found)?;
        }
        self.finish(room, span, found)
    }

    /// Walks rows backward. Ends early, with where it is, when many come after the span's end.
    fn walk(
        &self,
        view: &RoomView<'_>,
        rows: &KeyRange,
        span: Span,
        limit: usize,
        is_wanted: impl Fn(&Event) -> bool,
        found: &mut Found,
    ) -> Result<Option<TimelineKey>, RoomError> {
        let room = view.room();
        let mut passed = 0;
        for row in self.storage.scan(&TIMELINE, rows, Direction::Backward) {
            let ((_, key), (short, position)) = row?;
            if position > span.until {
                if passed >= limits::TIMELINE_ROWS_PASSED_MAX {
                    return Ok(Some(key));
                }
                passed += 1;
                found.state_end = self.history.before(room, key, short)?;
                continue;
            }
            if span.since.is_some_and(|since| position <= since) {
                found.reached_since = true;
                break;
            }
            if found.rows >= limits::TIMELINE_ROWS_SCANNED_MAX {
                found.limited = true;
                break;
            }
            found.row(key, short);
            let Some(event) = self.shown(view, short, &is_wanted)? else { continue };
            if found.events.len() >= limit {
                found.limited = true;
                break;
            }
            found.before = Some(key);
            found.events.push(event);
        }
        Ok(None)
    }

    fn shown(
        &self,
        view: &RoomView<'_>,
        short: ShortEventId,
        is_wanted: impl Fn(&Event) -> bool,
    ) -> Result<Option<VisibleEvent>, RoomError> {
        match self.events.get(short)? {
            Some(stored) if is_wanted(&stored.event) => view.sees(stored),
            _ => Ok(None),
        }
    }

    fn finish(&self, room: ShortRoomId, span: Span, mut found: Found) -> Result<Window, RoomError> {
        let state_since = match (span.since, found.oldest) {
            (None, _) => None,
            (Some(_), None) => Some(found.state_end),
            // Without a gap, the oldest row is the first after `since`.
            (Some(_), Some((key, oldest))) if found.reached_since => {
                Some(self.history.before(room, key, oldest)?)
            }
            (Some(since), Some((key, _))) => Some(self.state_after_position(room, since, key)?),
        };
        let first_shown = found.events.last().and_then(|event| Some((event.meta().timeline?, event.short())));
        let state_before = match first_shown {
            Some((key, short)) => self.history.before(room, key, short)?,
            None => found.state_end,
        };
        // A window without events still says where the gap that it stands for begins.
        let gap =
            found.newest.map(|newest| TimelineKey(newest.0.saturating_add(1))).filter(|_| found.limited);
        found.events.reverse();
        Ok(Window {
            events: found.events,
            limited: found.limited,
            before: found.before.or(gap).map(PaginationToken::Before),
            has_rows: found.oldest.is_some(),
            state_since,
            state_before,
            state_end: found.state_end,
        })
    }

    /// The room's state after everything up to `position`; `end` is a key that came later.
    fn state_after_position(
        &self,
        room: ShortRoomId,
        position: StreamPosition,
        end: TimelineKey,
    ) -> Result<StateRoot, RoomError> {
        let key = self.timelines.first_after(room, position, end)?;
        match self.storage.get(&TIMELINE, &(room, key))? {
            Some((first, _)) => self.history.before(room, key, first),
            // History that was removed since: as if all of the state were new.
            None => Ok(StateRoot::EMPTY),
        }
    }
}

/// What a scan has come to know; its events are newest first.
struct Found {
    events: Vec<VisibleEvent>,
    limited: bool,
    reached_since: bool,
    rows: usize,
    newest: Option<TimelineKey>,
    oldest: Option<(TimelineKey, ShortEventId)>,
    before: Option<TimelineKey>,
    state_end: StateRoot,
}

impl Found {
    fn new(state_end: StateRoot) -> Self {
        Self {
            events: Vec::new(),
            limited: false,
            reached_since: false,
            rows: 0,
            newest: None,
            oldest: None,
            before: None,
            state_end,
        }
    }

    fn row(&mut self, key: TimelineKey, event: ShortEventId) {
        self.rows += 1;
        self.newest.get_or_insert(key);
        self.oldest = Some((key, event));
    }
}
