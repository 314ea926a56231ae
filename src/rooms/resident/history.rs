//! Events before others, for servers that lack them ([backfilling and retrieving missing events]).
//!
//! [backfilling and retrieving missing events]: https://spec.matrix.org/v1.19/server-server-api/#backfilling-and-retrieving-missing-events

use std::{
    collections::{BinaryHeap, HashSet, VecDeque},
    sync::Arc,
};

use ruma::{EventId, OwnedEventId};

use super::{Resident, ResidentError, ServerView};
use crate::{
    matrix::event::Event,
    rooms::{StoredEvent, limits},
    storage::{Read, ShortEventId, records::EventStatus},
};

/// Which events lie between what a server has and what it was sent.
#[derive(Debug, Clone)]
pub struct MissingEventsQuery<'a> {
    /// What it has.
    pub earliest: &'a [OwnedEventId],
    /// What it was sent: the events before these are wanted.
    pub latest: &'a [OwnedEventId],
    /// The most events to answer; kept to [`limits::MISSING_EVENTS_MAX`].
    pub limit: usize,
    /// Nothing of less depth.
    pub min_depth: u64,
}

impl ServerView<'_> {
    /// The events given and those before them, deepest first, at most `limit` and never more than
    /// [`limits::BACKFILL_EVENTS_MAX`]. What the server may not see is redacted.
    pub fn backfill(&self, from: &[OwnedEventId], limit: usize) -> Result<Vec<Arc<Event>>, ResidentError> {
        let limit = limit.clamp(1, limits::BACKFILL_EVENTS_MAX);
        let mut open = BinaryHeap::new();
        let mut seen = HashSet::new();
        for event_id in from.iter().take(limits::BACKFILL_EVENTS_MAX) {
            self.open_for_backfill(event_id, &mut seen, &mut open)?;
        }
        let (mut found, mut bytes) = (Vec::new(), 0);
        while let Some((_, short)) = open.pop() {
            if found.len() >= limit
                || bytes >= limits::PAGE_BYTES_MAX
                || seen.len() > limits::PAGE_ROWS_READ_MAX
            {
                break;
            }
            let Some(stored) = self.resident.events.get(short)? else { continue };
            for event_id in stored.event.prev_events() {
                self.open_for_backfill(event_id, &mut seen, &mut open)?;
            }
            if is_passed_on(&stored) {
                let event = self.shown(&stored)?;
                bytes += event.json().len();
                found.push(event);
            }
        }
        Ok(found)
    }

    fn open_for_backfill(
        &self,
        event_id: &EventId,
        seen: &mut HashSet<ShortEventId>,
        open: &mut BinaryHeap<(u64, ShortEventId)>,
    ) -> Result<(), ResidentError> {
        if let Some(stored) = self.graph_event(event_id)?
            && seen.insert(stored.short)
        {
            open.push((stored.event.depth(), stored.short));
        }
        Ok(())
    }

    /// The events before `latest` that are not before `earliest`, breadth first, then oldest first in the answer.
    pub fn missing_events(&self, query: &MissingEventsQuery<'_>) -> Result<Vec<Arc<Event>>, ResidentError> {
        let limit = query.limit.min(limits::MISSING_EVENTS_MAX);
        let mut seen = HashSet::new();
        for event_id in query.earliest.iter().take(limits::MISSING_EVENTS_NAMED_MAX) {
            seen.extend(self.resident.storage.short_event_id(event_id)?);
        }
        let mut open = VecDeque::new();
        for event_id in query.latest.iter().take(limits::MISSING_EVENTS_NAMED_MAX) {
            if let Some(stored) = self.graph_event(event_id)? {
                seen.insert(stored.short);
                open.push_back(stored);
            }
        }
        let (mut found, mut bytes) = (Vec::new(), 0);
        'walk: while let Some(later) = open.pop_front() {
            for event_id in later.event.prev_events() {
                let Some(stored) = self.graph_event(event_id)? else { continue };
                if !seen.insert(stored.short) || stored.event.depth() < query.min_depth {
                    continue;
                }
                if is_passed_on(&stored) {
                    let event = self.shown(&stored)?;
                    bytes += event.json().len();
                    found.push(event);
                }
                open.push_back(stored);
                let is_full = found.len() >= limit || bytes >= limits::PAGE_BYTES_MAX;
                if is_full || seen.len() > limits::PAGE_ROWS_READ_MAX {
                    break 'walk;
                }
            }
        }
        found.reverse();
        found.sort_by_key(|event| event.depth());
        found.truncate(limit);
        Ok(found)
    }

    /// An event of this room whose place in the graph is known, whatever the checks said.
    fn graph_event(&self, event_id: &EventId) -> Result<Option<StoredEvent>, ResidentError> {
        let stored = self.resident.events.by_id(event_id)?;
        Ok(stored
            .filter(|stored| stored.meta.room == self.room() && stored.meta.status != EventStatus::Outlier))
    }
}

impl Resident {
    /// The event itself, for a server that is in its room and may see it.
    pub fn event(&self, server: &ruma::ServerName, event_id: &EventId) -> Result<Arc<Event>, ResidentError> {
        let stored = self.events.by_id(event_id)?.ok_or(ResidentError::UnknownEvent)?;
        let view = self.view(server, stored.meta.room)?;
        let stored = view.in_graph(stored.short)?.ok_or(ResidentError::UnknownEvent)?;
        if view.sees(&stored)? { Ok(stored.event) } else { Err(ResidentError::UnknownEvent) }
    }
}

/// Whether other servers get the event: not if the rules refused it.
fn is_passed_on(stored: &StoredEvent) -> bool {
    matches!(stored.meta.status, EventStatus::Accepted | EventStatus::SoftFailed)
}
