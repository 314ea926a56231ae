//! The rooms of a space, those of the spaces in it, and so on, in pages ([spaces]).
//!
//! A page goes on where the last one ended: its token names the rooms on the way from the space to the last
//! room visited, so going on costs one list of links a level, not the pages before. A room that would be
//! below itself is left out there. Of rooms that this server is not in, other servers are to be asked: the walk
//! stops and says of which, and goes on with the answer. Never: talks to a server. Main type: [`SpaceWalk`].
//!
//! [spaces]: https://spec.matrix.org/v1.19/client-server-api/#spaces

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    str::FromStr,
    sync::Arc,
};

use ruma::{
    OwnedRoomId, OwnedServerName, RoomId,
    room::{RoomSummary, RoomType},
    serde::{Base64, base64::UrlSafe},
};

use super::{ServerHierarchy, SpaceLink, SpaceRoom, Spaces};
use crate::{
    rooms::{ReadError, RoomError, limits},
    storage::{ShortRoomId, ShortUserId},
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

/// A part of a space's rooms, depth first.
#[derive(Debug)]
pub struct HierarchyPage {
    /// The rooms.
    pub rooms: Vec<SpaceRoom>,
    /// Where to go on; `None` when there is nothing more.
    pub next: Option<String>,
}

/// A room to visit.
#[derive(Debug, Clone)]
pub struct SpaceStop {
    /// The room.
    pub room_id: OwnedRoomId,
    /// Servers that are said to be in it.
    pub via: Vec<OwnedServerName>,
}

/// Why a walk has stopped.
#[derive(Debug)]
pub enum WalkStep {
    /// Other servers are to be asked of this room; the answer goes to [`SpaceWalk::answer`].
    Ask(SpaceStop),
    /// The page is full, or there is nothing more.
    End,
}

/// Where a page ended: what was asked for, and the rooms on the way to the last one visited.
#[derive(Debug, Clone, PartialEq, Eq)]
struct HierarchyToken {
    max_depth: usize,
    suggested_only: bool,
    path: Vec<OwnedRoomId>,
}

impl fmt::Display for HierarchyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = serde_json::to_vec(&self.path).map_err(|_| fmt::Error)?;
        let path = Base64::<UrlSafe, _>::new(path);
        write!(f, "h{}_{}_{path}", self.max_depth, u8::from(self.suggested_only))
    }
}

impl FromStr for HierarchyToken {
    type Err = ReadError;

    fn from_str(text: &str) -> Result<Self, ReadError> {
        let parse = || {
            let mut parts = text.strip_prefix('h')?.splitn(3, '_');
            let max_depth = parts.next()?.parse().ok()?;
            let suggested_only = parts.next()? == "1";
            let path = Base64::<UrlSafe>::parse(parts.next()?).ok()?;
            let path: Vec<OwnedRoomId> = serde_json::from_slice(path.as_bytes()).ok()?;
            let fits = !path.is_empty() && path.len() <= limits::HIERARCHY_DEPTH_MAX + 1;
            fits.then_some(Self { max_depth, suggested_only, path })
        };
        let parsed = if text.len() <= limits::HIERARCHY_TOKEN_BYTES_MAX { parse() } else { None };
        parsed.ok_or_else(|| ReadError::InvalidToken(text.to_owned()))
    }
}

/// A walk in progress.
#[derive(Debug)]
pub struct SpaceWalk {
    user: ShortUserId,
    request: HierarchyRequest,
    /// The rooms that lead to where the last page ended, as far as the walk has not come to them again.
    way_back: VecDeque<OwnedRoomId>,
    path: Vec<OwnedRoomId>,
    /// For each level the rooms that are still to be visited, last first.
    waiting: Vec<Vec<SpaceStop>>,
    /// What other servers told of rooms in a space along with the space; `None` of those that nobody here may
    /// see or join.
    told: HashMap<OwnedRoomId, Option<Arc<RoomSummary>>>,
    visited: usize,
    asked: usize,
    /// The room that is being visited while other servers are asked, and whether it is on the way back.
    asking: Option<(SpaceStop, bool)>,
    rooms: Vec<SpaceRoom>,
}

/// What becomes of a room that is visited.
enum Look {
    Shown(Box<SpaceRoom>),
    Hidden,
    Ask,
}

impl Spaces {
    /// Begins a walk for a page of the rooms of a space, the space itself first, as a user may see them.
    /// [`ReadError::NotInRoom`] when the user may not know of it.
    pub fn walk(
        &self,
        user: ShortUserId,
        space: &RoomId,
        request: HierarchyRequest,
    ) -> Result<SpaceWalk, ReadError> {
        let summaries = self.summaries();
        let top = summaries.room(space)?.ok_or(ReadError::NotInRoom)?;
        if !summaries.is_shown_to(Some(user), top)? {
            return Err(ReadError::NotInRoom);
        }
        let mut way_back = VecDeque::new();
        if let Some(from) = &request.from {
            let token: HierarchyToken = from.parse()?;
            let same = token.suggested_only == request.suggested_only && token.max_depth == request.max_depth;
            if !same || token.path.first().is_none_or(|first| first != space) {
                return Err(ReadError::InvalidToken(from.clone()));
            }
            way_back = token.path.into();
        }
        Ok(SpaceWalk {
            user,
            request,
            way_back,
            path: Vec::new(),
            waiting: vec![vec![SpaceStop { room_id: space.to_owned(), via: Vec::new() }]],
            told: HashMap::new(),
            visited: 0,
            asked: 0,
            asking: None,
            rooms: Vec::new(),
        })
    }
}

impl SpaceWalk {
    /// Visits rooms until another server is to be asked of one, or the page is at its end.
    pub fn go_on(&mut self, spaces: &Spaces) -> Result<WalkStep, ReadError> {
        let limit = self.request.limit.clamp(1, limits::HIERARCHY_PAGE_MAX);
        while self.rooms.len() < limit && self.visited < limits::HIERARCHY_ROOMS_VISITED_MAX {
            let Some((stop, is_known)) = self.next_stop()? else { break };
            self.visited += 1;
            match self.look(spaces, &stop)? {
                Look::Shown(room) => self.visit(stop, is_known, Some(*room)),
                Look::Hidden => self.visit(stop, is_known, None),
                Look::Ask => {
                    self.asked += 1;
                    self.asking = Some((stop.clone(), is_known));
                    return Ok(WalkStep::Ask(stop));
                }
            }
        }
        Ok(WalkStep::End)
    }

    /// Takes what another server told of the room that was to be asked for; `None` if none did.
    pub fn answer(&mut self, spaces: &Spaces, told: Option<&ServerHierarchy>) -> Result<(), RoomError> {
        let Some((stop, is_known)) = self.asking.take() else { return Ok(()) };
        let told = told.filter(|told| told.room.summary.room_id == stop.room_id);
        let Some(told) = told else {
            self.visit(stop, is_known, None);
            return Ok(());
        };
        let is_shown = spaces.summaries().is_foreign_shown_to(self.user, &told.room.summary)?;
        if is_shown {
            for child in &told.children {
                self.note(&child.room_id, Some(child));
            }
            for child in &told.inaccessible {
                self.note(child, None);
            }
        }
        let mut room = told.room.clone();
        room.links.retain(|link| link.is_suggested || !self.request.suggested_only);
        self.visit(stop, is_known, is_shown.then_some(room));
        Ok(())
    }

    /// The page, when the walk has stopped.
    pub fn into_page(self) -> HierarchyPage {
        let is_more = self.asking.is_some() || self.waiting.iter().any(|rooms| !rooms.is_empty());
        let HierarchyRequest { max_depth, suggested_only, .. } = self.request;
        let token = HierarchyToken { max_depth, suggested_only, path: self.path };
        let has_begun = !token.path.is_empty();
        HierarchyPage { rooms: self.rooms, next: (is_more && has_begun).then(|| token.to_string()) }
    }

    fn note(&mut self, room_id: &RoomId, summary: Option<&RoomSummary>) {
        if self.told.len() < limits::HIERARCHY_ROOMS_TOLD_MAX && !self.told.contains_key(room_id) {
            self.told.insert(room_id.to_owned(), summary.cloned().map(Arc::new));
        }
    }

    /// The next room to visit, and whether the page before has shown it.
    fn next_stop(&mut self) -> Result<Option<(SpaceStop, bool)>, ReadError> {
        if let Some(room_id) = self.way_back.pop_front() {
            // A link that was removed meanwhile leaves no place to go on from.
            let invalid = || ReadError::InvalidToken(self.request.from.clone().unwrap_or_default());
            let rooms = self.waiting.last_mut().ok_or_else(invalid)?;
            let at = rooms.iter().position(|stop| stop.room_id == room_id).ok_or_else(invalid)?;
            let stop = rooms.drain(at..).next();
            return Ok(stop.map(|stop| (stop, true)));
        }
        while let Some(rooms) = self.waiting.last_mut() {
            if let Some(stop) = rooms.pop() {
                return Ok(Some((stop, false)));
            }
            self.waiting.pop();
        }
        Ok(None)
    }

    /// What can be said of a room from here.
    fn look(&self, spaces: &Spaces, stop: &SpaceStop) -> Result<Look, RoomError> {
        let summaries = spaces.summaries();
        if let Some(room) = self.known_room(spaces, &stop.room_id)? {
            let is_shown = summaries.is_shown_to(Some(self.user), room)?;
            let shown = if is_shown { spaces.shown(room, self.request.suggested_only)? } else { None };
            return Ok(shown.map_or(Look::Hidden, |room| Look::Shown(Box::new(room))));
        }
        match self.told.get(&stop.room_id) {
            Some(None) => Ok(Look::Hidden),
            Some(Some(summary)) if summary.room_type != Some(RoomType::Space) => {
                let is_shown = summaries.is_foreign_shown_to(self.user, summary)?;
                let room = || Box::new(SpaceRoom { summary: (**summary).clone(), links: Vec::new() });
                Ok(if is_shown { Look::Shown(room()) } else { Look::Hidden })
            }
            _ if self.asked < limits::HIERARCHY_ROOMS_ASKED_MAX => Ok(Look::Ask),
            _ => Ok(Look::Hidden),
        }
    }

    /// The room, if this server is in it. Of others it may have an old state.
    fn known_room(&self, spaces: &Spaces, room_id: &RoomId) -> Result<Option<ShortRoomId>, RoomError> {
        let summaries = spaces.summaries();
        let Some(room) = summaries.room(room_id)? else { return Ok(None) };
        // The space itself is known from before; a room that all have left may have nobody else to ask.
        let is_here = self.path.is_empty() || summaries.index.has_local_member(room)?;
        Ok(is_here.then_some(room))
    }

    /// Shows a room, if it is to be shown, and lets its children be the next ones.
    fn visit(&mut self, stop: SpaceStop, is_known: bool, room: Option<SpaceRoom>) {
        self.path.truncate(self.waiting.len().saturating_sub(1));
        self.path.push(stop.room_id);
        let max_depth = self.request.max_depth.min(limits::HIERARCHY_DEPTH_MAX);
        let links = room.as_ref().map(|room| &*room.links).filter(|_| self.path.len() <= max_depth);
        let is_new = |link: &&SpaceLink| !self.path.contains(&link.room_id);
        let children = links.into_iter().flatten().filter(is_new);
        let mut children: Vec<_> =
            children.map(|link| SpaceStop { room_id: link.room_id.clone(), via: link.via.clone() }).collect();
        children.reverse();
        self.waiting.push(children);
        self.rooms.extend(room.filter(|_| !is_known));
    }
}
