//! Full-text search over what users may see ([server side search]).
//!
//! The index (`index`) names events that may fit; each is read, compared with the query and with what the reader
//! may see (edits too) before it counts, so neither results nor their number tell of what is hidden. A search costs
//! what it finds, within bounds of rows, events and rooms, never the room. Events from before the index are added by
//! [`backlog`]. Main type: [`EventSearch`].
//!
//! [server side search]: https://spec.matrix.org/v1.19/client-server-api/#server-side-search

pub mod backlog;
mod candidates;
pub(super) mod index;
mod matches;
mod query;
#[cfg(test)]
mod tests;
mod text;
mod token;

use std::collections::BTreeMap;

use ruma::{OwnedRoomId, OwnedUserId};

use self::{matches::Match, query::Query};
use super::{
    EventFilter, EventStore, ReadError, RoomError, RoomIndex, RoomStates, RoomView, StoredEvent, Viewer,
    Visibility, VisibleEvent, limits, relations::Bundles,
};
use crate::storage::{Read, ShortRoomId, ShortUserId, Storage};

pub use self::{
    backlog::SearchBacklog,
    index::current as indexed_terms,
    text::SearchKey,
    token::{SearchGroup, SearchToken},
};

/// In which order results come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchOrder {
    /// The newest first.
    Recent,
    /// Those that fit best first; of the newest [`limits::SEARCH_RANKED_MAX`].
    Rank,
}

/// What is searched for.
#[derive(Debug, Clone)]
pub struct SearchRequest {
    /// What the user typed.
    pub term: String,
    /// Which keys are searched.
    pub keys: Vec<SearchKey>,
    /// Which events and rooms are searched, and how many results are wanted.
    pub filter: EventFilter,
    /// The order.
    pub order: SearchOrder,
    /// Where to go on.
    pub from: Option<SearchToken>,
}

/// An event that was found.
#[derive(Debug)]
pub struct FoundEvent {
    /// The event.
    pub event: VisibleEvent,
    /// The room.
    pub room: ShortRoomId,
    /// How well it fits: greater is better.
    pub rank: f64,
}

/// The results of one group on this page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundGroup {
    /// Where the group goes on; `None` when this was all of it.
    pub next: Option<SearchToken>,
    /// Which of the page's results are in it, by their place.
    pub results: Vec<usize>,
}

/// A page of results.
#[derive(Debug, Default)]
pub struct SearchPage {
    /// How many results there are, or more: counted to [`limits::SEARCH_COUNTED_MAX`].
    pub count: usize,
    /// The events.
    pub results: Vec<FoundEvent>,
    /// The words that were found, for clients to mark.
    pub highlights: Vec<String>,
    /// Where to go on; `None` when there is nothing more.
    pub next: Option<SearchToken>,
    /// The results by room.
    pub rooms: BTreeMap<OwnedRoomId, FoundGroup>,
    /// The results by sender.
    pub senders: BTreeMap<OwnedUserId, FoundGroup>,
}

/// Searches rooms. Cheap to clone.
#[derive(Debug, Clone)]
pub struct EventSearch {
    storage: Storage,
    index: RoomIndex,
    events: EventStore,
    states: RoomStates,
    visibility: Visibility,
    bundles: Bundles,
}

impl EventSearch {
    /// Over the rooms' readers.
    pub fn new(
        storage: Storage,
        index: RoomIndex,
        events: EventStore,
        states: RoomStates,
        visibility: Visibility,
    ) -> Self {
        Self { bundles: Bundles::new(storage.clone()), storage, index, events, states, visibility }
    }

    /// A page of what the viewer may see and that fits. [`ReadError::InvalidToken`] for a token of nobody's.
    pub fn search(&self, viewer: &Viewer, request: &SearchRequest) -> Result<SearchPage, ReadError> {
        let query = Query::parse(&request.term);
        let start = match &request.from {
            Some(token) => token.clone(),
            None => SearchToken::first(self.storage.position()),
        };
        let limit = request.filter.limit().unwrap_or(limits::SEARCH_RESULTS_DEFAULT);
        let limit = limit.clamp(1, limits::SEARCH_RESULTS_MAX);
        let found = self.matches(viewer, request, &query, &start, limit)?;
        let shown = found.get(start.offset..).unwrap_or_default();
        let shown = shown.get(..limit).unwrap_or(shown);
        let mut page = SearchPage { count: found.len(), ..SearchPage::default() };
        for found in shown {
            let view = self.visibility.view(viewer, found.room)?;
            let Some(event) = view.sees_short(found.short)? else { continue };
            self.mark(&view, &event, &query, &mut page.highlights)?;
            page.results.push(FoundEvent { event, room: found.room, rank: found.rank });
        }
        let until = start.offset + shown.len();
        // A page that is full may be the last: clients find out by asking, as with other pages.
        let may_go_on = shown.len() == limit && until < limits::SEARCH_PAGED_MAX;
        page.next = may_go_on.then(|| SearchToken { offset: until, ..start.clone() });
        if start.group.is_none() {
            self.group(&found, &start, until, &mut page)?;
        }
        Ok(page)
    }

    /// The text of an event as the viewer sees it, if it is found by one of the keys.
    fn text(
        &self,
        view: &RoomView<'_>,
        event: &VisibleEvent,
        keys: &[SearchKey],
    ) -> Result<Option<String>, RoomError> {
        let key = SearchKey::of_type(event.event().event_type());
        if key.is_none_or(|key| !keys.contains(&key)) {
            return Ok(None);
        }
        let Some(own) = text::own_text(event.event()) else { return Ok(None) };
        let edit = self.bundles.newest_edit(view, event)?;
        let edited =
            edit.and_then(|edit| text::StoredText::parse(edit.event().json().as_bytes())?.replacement());
        Ok(Some(edited.unwrap_or(own)))
    }

    fn mark(
        &self,
        view: &RoomView<'_>,
        event: &VisibleEvent,
        query: &Query,
        highlights: &mut Vec<String>,
    ) -> Result<(), RoomError> {
        let keys = [SearchKey::Body, SearchKey::Name, SearchKey::Topic];
        let text = self.text(view, event, &keys)?.unwrap_or_default();
        for word in query.marked(&text) {
            if highlights.len() < limits::SEARCH_HIGHLIGHTS_MAX && !highlights.contains(&word) {
                highlights.push(word);
            }
        }
        Ok(())
    }

    /// The groups of a page's results, with where each goes on.
    fn group(
        &self,
        found: &[Match],
        start: &SearchToken,
        until: usize,
        page: &mut SearchPage,
    ) -> Result<(), RoomError> {
        let more = |is_in: &dyn Fn(&Match) -> bool| {
            let upto = found.iter().take(until).filter(|found| is_in(found)).count();
            let all = found.iter().filter(|found| is_in(found)).count();
            (all > upto).then_some(upto)
        };
        let mut rooms: BTreeMap<ShortRoomId, Vec<usize>> = BTreeMap::new();
        let mut senders: BTreeMap<ShortUserId, Vec<usize>> = BTreeMap::new();
        for (at, result) in page.results.iter().enumerate() {
            rooms.entry(result.room).or_default().push(at);
            senders.entry(result.event.meta().sender).or_default().push(at);
        }
        for (room, results) in rooms {
            let next = more(&|found| found.room == room);
            let next = next.map(|offset| start.in_group(SearchGroup::Room(room), offset));
            page.rooms.insert(self.storage.room_id(room)?, FoundGroup { next, results });
        }
        for (sender, results) in senders {
            let next = more(&|found| found.sender == sender);
            let next = next.map(|offset| start.in_group(SearchGroup::Sender(sender), offset));
            page.senders.insert(self.storage.user_id(sender)?, FoundGroup { next, results });
        }
        Ok(())
    }
}
