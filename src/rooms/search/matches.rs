//! The events that fit, of all rooms that are searched: those of each room newest first, and of the rooms' newest
//! the one that was sent last.

use std::collections::{BTreeSet, BinaryHeap, HashSet};

use ruma::{OwnedRoomId, OwnedUserId};

use super::{
    EventSearch, ReadError, RoomError, RoomView, SearchGroup, SearchOrder, SearchRequest, SearchToken,
    StoredEvent, Viewer, candidates::Candidates, limits, query::Query,
};
use crate::{
    state::tree::StateRoot,
    storage::{Read, ShortEventId, ShortRoomId, ShortUserId, records::Membership},
    users::ignored_users,
};

/// An event that fits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Match {
    pub(super) room: ShortRoomId,
    pub(super) short: ShortEventId,
    pub(super) sender: ShortUserId,
    pub(super) sent_at: u64,
    pub(super) rank: f64,
}

/// What one search goes by, and what it may still cost.
struct Run<'a> {
    search: &'a EventSearch,
    viewer: &'a Viewer,
    request: &'a SearchRequest,
    query: &'a Query,
    start: &'a SearchToken,
    ignored: HashSet<OwnedUserId>,
    rows_left: usize,
    events_left: usize,
}

/// A room that has something that may fit.
struct Room<'a> {
    view: RoomView<'a>,
    candidates: Candidates,
}

impl EventSearch {
    /// What fits, in the order asked for: at least what `start` and a page of `limit` need, if there is so much.
    pub(super) fn matches(
        &self,
        viewer: &Viewer,
        request: &SearchRequest,
        query: &Query,
        start: &SearchToken,
        limit: usize,
    ) -> Result<Vec<Match>, ReadError> {
        let mut run = Run {
            search: self,
            viewer,
            request,
            query,
            start,
            ignored: ignored_users(&self.storage, viewer.user, &viewer.user_id)?,
            rows_left: limits::SEARCH_ROWS_READ_MAX,
            events_left: limits::SEARCH_EVENTS_READ_MAX,
        };
        let wanted = match request.order {
            SearchOrder::Rank => limits::SEARCH_RANKED_MAX,
            SearchOrder::Recent => limits::SEARCH_COUNTED_MAX.max(start.offset + limit),
        };
        let rooms = run.rooms()?;
        let mut found = run.newest(rooms, wanted)?;
        if request.order == SearchOrder::Rank {
            // Stable: of those that fit equally well, the newest stays first.
            found.sort_by(|a, b| b.rank.total_cmp(&a.rank));
        }
        Ok(found)
    }

    /// The rooms that are searched: those that the user is or was in, of which the filter may name some; with those
    /// that it names, the rooms that they have taken the place of.
    fn rooms_searched(
        &self,
        viewer: &Viewer,
        request: &SearchRequest,
    ) -> Result<BTreeSet<ShortRoomId>, RoomError> {
        let mut rooms = BTreeSet::new();
        if let Some(named) = request.filter.rooms() {
            for room_id in named.iter().take(limits::SEARCH_ROOMS_MAX) {
                self.add_with_predecessors(viewer, room_id.clone(), &mut rooms)?;
            }
            return Ok(rooms);
        }
        for row in self.index.rooms_of(viewer.user).take(limits::SEARCH_ROOMS_MAX) {
            let (room, row) = row?;
            let was_in = !matches!(row.membership, Membership::Invite | Membership::Knock);
            if was_in && !row.forgotten {
                rooms.insert(room);
            }
        }
        Ok(rooms)
    }

    fn add_with_predecessors(
        &self,
        viewer: &Viewer,
        room_id: OwnedRoomId,
        rooms: &mut BTreeSet<ShortRoomId>,
    ) -> Result<(), RoomError> {
        let mut next = Some(room_id);
        for _ in 0..=limits::SEARCH_PREDECESSORS_MAX {
            let Some(room_id) = next else { break };
            let Some(room) = self.index.room(&room_id)?.filter(|room| rooms.insert(*room)) else { break };
            next = self.predecessor(viewer, room)?;
        }
        Ok(())
    }

    /// The room that a room has taken the place of, as it says itself.
    fn predecessor(&self, viewer: &Viewer, room: ShortRoomId) -> Result<Option<OwnedRoomId>, RoomError> {
        let view = self.visibility.view(viewer, room)?;
        let Some(root) = view.state()? else { return Ok(None) };
        self.predecessor_in(root)
    }

    fn predecessor_in(&self, root: StateRoot) -> Result<Option<OwnedRoomId>, RoomError> {
        let Some(create) = self.states.get(root, "m.room.create", "")? else { return Ok(None) };
        let Some(create) = self.events.get(create)? else { return Ok(None) };
        let predecessor: Option<serde_json::Value> = create.event.content_field("predecessor");
        let room_id = predecessor.as_ref().and_then(|it| it.get("room_id")?.as_str());
        Ok(room_id.and_then(|room_id| OwnedRoomId::try_from(room_id).ok()))
    }
}

impl<'a> Run<'a> {
    fn rooms(&self) -> Result<Vec<Room<'a>>, ReadError> {
        let lookups = self.query.lookups();
        let mut rooms = Vec::new();
        for room in self.search.rooms_searched(self.viewer, self.request)? {
            if matches!(self.start.group, Some(SearchGroup::Room(only)) if only != room)
                || self.request.filter.excludes_room(&self.search.storage.room_id(room)?)
            {
                continue;
            }
            let view = self.search.visibility.view(self.viewer, room)?;
            if !view.was_joined() {
                continue;
            }
            let end = view.timeline_end()?;
            if let Some(candidates) = Candidates::find(&self.search.storage, room, &lookups, end)? {
                rooms.push(Room { view, candidates });
            }
        }
        Ok(rooms)
    }

    fn newest(&mut self, mut rooms: Vec<Room<'a>>, wanted: usize) -> Result<Vec<Match>, ReadError> {
        let mut found = Vec::new();
        // The newest of each room, by when it was sent; among those of one time the later room.
        let mut heads = BinaryHeap::new();
        let mut newest: Vec<Option<Match>> = Vec::with_capacity(rooms.len());
        for (at, room) in rooms.iter_mut().enumerate() {
            let next = self.next(room)?;
            heads.extend(next.map(|next| (next.sent_at, at)));
            newest.push(next);
        }
        while let Some((_, at)) = heads.pop() {
            found.extend(newest.get_mut(at).and_then(Option::take));
            if found.len() >= wanted {
                break;
            }
            let Some(room) = rooms.get_mut(at) else { continue };
            let next = self.next(room)?;
            heads.extend(next.map(|next| (next.sent_at, at)));
            if let Some(place) = newest.get_mut(at) {
                *place = next;
            }
        }
        Ok(found)
    }

    /// The next older event of a room that fits.
    fn next(&mut self, room: &mut Room<'a>) -> Result<Option<Match>, RoomError> {
        while self.events_left > 0 {
            let Some(short) = room.candidates.next(&self.search.storage, &mut self.rows_left)? else { break };
            self.events_left -= 1;
            let Some(stored) = self.search.events.get(short)? else { continue };
            if let Some(found) = self.fits(&room.view, stored)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn fits(&self, view: &RoomView<'a>, stored: StoredEvent) -> Result<Option<Match>, RoomError> {
        let meta = stored.meta;
        let is_wanted = meta.position <= self.start.position
            && meta.redacted_by.is_none()
            && self.request.filter.allows(&stored.event)
            && !self.ignored.contains(stored.event.sender())
            && !matches!(self.start.group, Some(SearchGroup::Sender(only)) if only != meta.sender);
        if !is_wanted {
            return Ok(None);
        }
        let Some(event) = view.sees(stored)? else { return Ok(None) };
        let Some(text) = self.search.text(view, &event, &self.request.keys)? else { return Ok(None) };
        Ok(self.query.rank(&text).map(|rank| Match {
            room: view.room(),
            short: event.short(),
            sender: meta.sender,
            sent_at: event.event().origin_server_ts(),
            rank,
        }))
    }
}
