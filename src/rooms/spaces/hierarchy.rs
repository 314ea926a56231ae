//! The rooms of a space, those of the spaces in it, and so on, in pages ([spaces]).
//!
//! A page goes on where the last one ended: its token names the rooms on the way from the space to the last
//! room shown, so going on costs one list of children a level, not the pages before. A room that would be
//! below itself is left out there. Rooms that this server is not in are known by their link alone and not
//! shown.
//!
//! [spaces]: https://spec.matrix.org/v1.19/client-server-api/#spaces

use std::{fmt, str::FromStr};

use ruma::{OwnedRoomId, RoomId, room::RoomSummary};
use serde_json::{Value, json, value::RawValue};

use super::RoomSummaries;
use crate::{
    matrix::event::Event,
    rooms::{ReadError, RoomError, limits},
    storage::{Read, ShortRoomId, ShortUserId},
};

/// What a client asks for.
#[derive(Debug, Clone)]
pub struct HierarchyRequest {
    /// Where to go on.
    pub from: Option<String>,
    /// The most rooms to return; kept between 1 and [`limits::HIERARCHY_PAGE_MAX`].
    pub limit: usize,
    /// How far below the space to go; at most [`limits::HIERARCHY_DEPTH_MAX`].
    pub max_depth: usize,
    /// Whether only children count that their space suggests.
    pub suggested_only: bool,
}

/// A room with its links to the rooms in it, if it is a space.
#[derive(Debug)]
pub struct SpaceRoom {
    /// The room.
    pub summary: RoomSummary,
    /// Its `m.space.child` events, stripped but for their time, in order.
    pub children: Vec<Box<RawValue>>,
}

/// A part of a space's rooms, depth first.
#[derive(Debug)]
pub struct HierarchyPage {
    /// The rooms.
    pub rooms: Vec<SpaceRoom>,
    /// Where to go on; `None` when there is nothing more.
    pub next: Option<String>,
}

/// Walks spaces. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Spaces {
    summaries: RoomSummaries,
}

/// A link from a space to a room in it.
struct Child {
    room_id: OwnedRoomId,
    event: std::sync::Arc<Event>,
}

impl Child {
    /// The links come with a valid `order` first, then by their time and the room's id.
    fn place(&self) -> (bool, String, u64, &RoomId) {
        let order = self.event.content_field::<String>("order").filter(|order| is_valid_order(order));
        let sent_at = self.event.origin_server_ts();
        (order.is_none(), order.unwrap_or_default(), sent_at, &self.room_id)
    }

    fn stripped(&self) -> Result<Box<RawValue>, serde_json::Error> {
        let event = &self.event;
        serde_json::value::to_raw_value(&json!({
            "type": event.event_type(),
            "state_key": event.state_key(),
            "content": event.content::<Value>()?,
            "sender": event.sender(),
            "origin_server_ts": event.origin_server_ts(),
        }))
    }
}

/// Up to 50 characters of printable ASCII (`m.space.child`).
fn is_valid_order(order: &str) -> bool {
    order.len() <= 50 && order.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
}

/// Where a page ended: what was asked for, and the rooms on the way to the last one shown.
#[derive(Debug, Clone, PartialEq, Eq)]
struct HierarchyToken {
    max_depth: usize,
    suggested_only: bool,
    path: Vec<ShortRoomId>,
}

impl fmt::Display for HierarchyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "h{}_{}", self.max_depth, u8::from(self.suggested_only))?;
        self.path.iter().try_for_each(|room| write!(f, "_{}", room.0))
    }
}

impl FromStr for HierarchyToken {
    type Err = ReadError;

    fn from_str(text: &str) -> Result<Self, ReadError> {
        let parse = || {
            let mut numbers = text.strip_prefix('h')?.split('_').map(|number| number.parse::<u64>().ok());
            let max_depth = usize::try_from(numbers.next()??).ok()?;
            let suggested_only = numbers.next()?? == 1;
            let path: Vec<_> = numbers
                .map(|room| room.map(ShortRoomId))
                .take(limits::HIERARCHY_DEPTH_MAX + 2)
                .collect::<Option<_>>()?;
            let fits = !path.is_empty() && path.len() <= limits::HIERARCHY_DEPTH_MAX + 1;
            fits.then_some(Self { max_depth, suggested_only, path })
        };
        parse().ok_or_else(|| ReadError::InvalidToken(text.to_owned()))
    }
}

/// A walk in progress: for each level the rooms that are still to be visited, last first.
struct Walk<'a> {
    spaces: &'a Spaces,
    request: &'a HierarchyRequest,
    path: Vec<ShortRoomId>,
    waiting: Vec<Vec<ShortRoomId>>,
}

impl Spaces {
    /// Over the rooms' summaries.
    pub fn new(summaries: RoomSummaries) -> Self {
        Self { summaries }
    }

    /// The summaries.
    pub fn summaries(&self) -> &RoomSummaries {
        &self.summaries
    }

    /// A page of the rooms of a space, the space itself first. [`ReadError::NotInRoom`] when the user may not
    /// know of it.
    pub fn page(
        &self,
        user: ShortUserId,
        space: &RoomId,
        request: &HierarchyRequest,
    ) -> Result<HierarchyPage, ReadError> {
        let top = self.summaries.index.room(space).map_err(RoomError::from)?.ok_or(ReadError::NotInRoom)?;
        if !self.summaries.is_shown_to(Some(user), top)? {
            return Err(ReadError::NotInRoom);
        }
        let limit = request.limit.clamp(1, limits::HIERARCHY_PAGE_MAX);
        let mut walk = self.start(top, request)?;
        let mut page = HierarchyPage { rooms: Vec::new(), next: None };
        for _ in 0..limits::HIERARCHY_ROOMS_VISITED_MAX {
            if page.rooms.len() >= limit {
                break;
            }
            let Some(room) = walk.next()? else { return Ok(page) };
            if self.summaries.is_shown_to(Some(user), room)?
                && let Some(shown) = self.shown(room, request.suggested_only)?
            {
                page.rooms.push(shown);
                walk.descend(room)?;
            }
        }
        if walk.waiting.iter().any(|rooms| !rooms.is_empty()) {
            page.next = Some(walk.token().to_string());
        }
        Ok(page)
    }

    /// The room with its children, whoever asks; for another server's request, too.
    pub fn shown(&self, room: ShortRoomId, suggested_only: bool) -> Result<Option<SpaceRoom>, RoomError> {
        let Some(summary) = self.summaries.summary(room)? else { return Ok(None) };
        let mut children = Vec::new();
        for child in self.children(room, suggested_only)? {
            children.push(child.stripped().map_err(|source| RoomError::CorruptEvent {
                event_id: child.event.event_id().to_owned(),
                source: source.into(),
            })?);
        }
        Ok(Some(SpaceRoom { summary, children }))
    }

    /// The rooms that a space links to, in order, as far as this server knows them.
    pub fn children_of(
        &self,
        room: ShortRoomId,
        suggested_only: bool,
    ) -> Result<Vec<ShortRoomId>, RoomError> {
        let mut rooms = Vec::new();
        for child in self.children(room, suggested_only)? {
            rooms.extend(self.summaries.index.room(&child.room_id)?);
        }
        Ok(rooms)
    }

    /// The links of a space, in order; none for what is no space.
    fn children(&self, room: ShortRoomId, suggested_only: bool) -> Result<Vec<Child>, RoomError> {
        let RoomSummaries { storage, index, events, states } = &self.summaries;
        let record = index.record(room)?;
        if record.is_none_or(|record| record.room_type.as_deref() != Some("m.space")) {
            return Ok(Vec::new());
        }
        let mut children = Vec::new();
        for (key, short) in states.without_members(index.current_state(room)?)? {
            let (event_type, state_key) = storage.state_key(key)?;
            if event_type != "m.space.child" {
                continue;
            }
            let Ok(room_id) = OwnedRoomId::try_from(state_key) else { continue };
            let Some(stored) = events.get(short)? else { continue };
            let via = stored.event.content_field::<Vec<String>>("via").unwrap_or_default();
            let suggested = stored.event.content_field::<bool>("suggested") == Some(true);
            if !via.is_empty() && (suggested || !suggested_only) {
                children.push(Child { room_id, event: stored.event });
            }
        }
        children.sort_by(|a, b| a.place().cmp(&b.place()));
        children.truncate(limits::SPACE_CHILDREN_MAX);
        Ok(children)
    }

    fn start<'a>(&'a self, top: ShortRoomId, request: &'a HierarchyRequest) -> Result<Walk<'a>, ReadError> {
        let mut walk = Walk { spaces: self, request, path: Vec::new(), waiting: vec![vec![top]] };
        let Some(from) = &request.from else { return Ok(walk) };
        let token: HierarchyToken = from.parse()?;
        let invalid = || ReadError::InvalidToken(from.clone());
        let same = token.suggested_only == request.suggested_only && token.max_depth == request.max_depth;
        if !same || token.path.first() != Some(&top) {
            return Err(invalid());
        }
        for room in token.path {
            let waiting = walk.waiting.last_mut().ok_or_else(invalid)?;
            // A link that was removed meanwhile leaves no place to go on from.
            let at = waiting.iter().position(|waiting| *waiting == room).ok_or_else(invalid)?;
            waiting.truncate(at);
            walk.descend(room)?;
        }
        Ok(walk)
    }
}

impl Walk<'_> {
    /// The next room to visit.
    fn next(&mut self) -> Result<Option<ShortRoomId>, RoomError> {
        while let Some(rooms) = self.waiting.last_mut() {
            if let Some(room) = rooms.pop() {
                self.path.truncate(self.waiting.len() - 1);
                return Ok(Some(room));
            }
            self.waiting.pop();
        }
        Ok(None)
    }

    /// Lets the children of a room, just visited, be the next ones.
    fn descend(&mut self, room: ShortRoomId) -> Result<(), RoomError> {
        self.path.truncate(self.waiting.len() - 1);
        self.path.push(room);
        let depth = self.path.len();
        let max_depth = self.request.max_depth.min(limits::HIERARCHY_DEPTH_MAX);
        let mut children = if depth <= max_depth {
            self.spaces.children_of(room, self.request.suggested_only)?
        } else {
            Vec::new()
        };
        children.retain(|child| !self.path.contains(child));
        children.reverse();
        self.waiting.push(children);
        Ok(())
    }

    fn token(&self) -> HierarchyToken {
        let HierarchyRequest { max_depth, suggested_only, .. } = *self.request;
        HierarchyToken { max_depth, suggested_only, path: self.path.clone() }
    }
}
