//! What a user may see of a room ([room history visibility]). The only maker of [`VisibleEvent`], which
//! is what everything that answers clients takes: an event that was not checked here cannot be shown.
//!
//! A decision costs a few point reads at the event's own state; a [`RoomView`] remembers them for one
//! request. Nothing here walks a room. Main type: [`RoomView`].
//!
//! [room history visibility]: https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility

use std::{cell::RefCell, collections::HashMap};

use ruma::RoomId;

use super::{
    EventStore, ReadError, RoomError, RoomIndex, RoomStates, StateHistory, StoredEvent, Viewer, limits,
    timeline::first_after,
};
use crate::{
    matrix::event::Event,
    state::tree::StateRoot,
    storage::{
        Read, ShortEventId, ShortRoomId, ShortStateKeyId, Storage, StreamPosition, TimelineKey,
        records::{EventMeta, EventStatus, Membership, MembershipRow, RoomHead},
        tables::IDLE_REDACTIONS,
    },
};

const HISTORY_VISIBILITY: &str = "m.room.history_visibility";

/// The type of events that servers send to join the ends of a fork where nobody else says anything. They have
/// no content that means anything.
pub const DUMMY_EVENT: &str = "org.matrix.dummy_event";

/// The four values of `m.room.history_visibility`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// Anybody may read, member or not.
    WorldReadable,
    /// Members read everything; the default.
    Shared,
    /// Members read from their invite on.
    Invited,
    /// Members read from their join on.
    Joined,
}

impl History {
    /// The value in force after such an event; a value that is not understood means `shared`.
    pub fn of(event: &Event) -> Self {
        match event.content_field::<String>("history_visibility").as_deref() {
            Some("world_readable") => Self::WorldReadable,
            Some("invited") => Self::Invited,
            Some("joined") => Self::Joined,
            _ => Self::Shared,
        }
    }
}

/// What decides about an event: the room's setting and the viewer's membership at one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct AtState {
    history: History,
    membership: Option<Membership>,
}

/// The viewer's last time in the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stay {
    /// Joined now.
    Now,
    /// Ended by the viewer's member event at this place in the timeline.
    Until(TimelineKey),
    /// Never joined, as far as may be told, or forgotten.
    Never,
}

/// An event that its viewer may see. Made only by [`RoomView`].
#[derive(Debug, Clone)]
pub struct VisibleEvent {
    stored: StoredEvent,
    membership: Option<Membership>,
}

impl VisibleEvent {
    /// The event with what this server knows of it.
    pub fn stored(&self) -> &StoredEvent {
        &self.stored
    }

    /// The event.
    pub fn event(&self) -> &Event {
        &self.stored.event
    }

    /// Place, state before it, sender.
    pub fn meta(&self) -> &EventMeta {
        &self.stored.meta
    }

    /// The short id.
    pub fn short(&self) -> ShortEventId {
        self.stored.short
    }

    /// The viewer's membership after the event, as `unsigned` tells it; `None` for entries of a state.
    pub fn membership(&self) -> Option<Membership> {
        self.membership
    }
}

/// Decides who sees what. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Visibility {
    storage: Storage,
    index: RoomIndex,
    events: EventStore,
    states: RoomStates,
    history: StateHistory,
}

impl Visibility {
    /// Over the rooms' events and states.
    pub fn new(storage: Storage, index: RoomIndex, events: EventStore, states: RoomStates) -> Self {
        let history = StateHistory::new(storage.clone(), index.clone(), events.clone());
        Self { storage, index, events, states, history }
    }

    /// What the viewer may see of a room, as of now. Make one for each request; it may show nothing at all
    /// (see [`RoomView::may_read`]).
    pub fn view<'a>(&'a self, viewer: &'a Viewer, room: ShortRoomId) -> Result<RoomView<'a>, RoomError> {
        let row = self.index.membership(viewer.user, room)?;
        let mut view = RoomView {
            visibility: self,
            viewer,
            room,
            row,
            head: self.index.head(room)?,
            history_key: self.storage.short_state_key_id(HISTORY_VISIBILITY, "")?,
            stay: Stay::Never,
            memo: RefCell::default(),
        };
        view.stay = view.find_stay()?;
        Ok(view)
    }

    /// As [`view`](Self::view), for a room that the viewer must be able to read: as a member, a former
    /// member, or because anybody may.
    pub fn reader<'a>(&'a self, viewer: &'a Viewer, room_id: &RoomId) -> Result<RoomView<'a>, ReadError> {
        let room = self.index.room(room_id)?.ok_or(ReadError::NotInRoom)?;
        let view = self.view(viewer, room)?;
        if view.may_read()? { Ok(view) } else { Err(ReadError::NotInRoom) }
    }

    /// As [`view`](Self::view), for a room that the viewer must be joined to.
    pub fn joined<'a>(&'a self, viewer: &'a Viewer, room_id: &RoomId) -> Result<RoomView<'a>, ReadError> {
        let room = self.index.room(room_id)?.ok_or(ReadError::NotInRoom)?;
        let view = self.view(viewer, room)?;
        if view.is_joined() { Ok(view) } else { Err(ReadError::NotInRoom) }
    }
}

/// What was read for earlier decisions of the same request.
#[derive(Debug, Default)]
struct Memo {
    states: HashMap<[u8; 16], AtState>,
    histories: HashMap<ShortEventId, History>,
    memberships: HashMap<ShortEventId, Option<Membership>>,
}

impl Memo {
    /// Starts anew when a long scan has filled it: what it holds can be read again.
    fn bound(&mut self) {
        let entries = self.states.len() + self.histories.len() + self.memberships.len();
        if entries > limits::VISIBILITY_MEMO_ENTRIES_MAX {
            *self = Self::default();
        }
    }
}

/// One room as one user may see it.
#[derive(Debug)]
pub struct RoomView<'a> {
    visibility: &'a Visibility,
    viewer: &'a Viewer,
    room: ShortRoomId,
    row: Option<MembershipRow>,
    head: Option<RoomHead>,
    history_key: Option<ShortStateKeyId>,
    stay: Stay,
    memo: RefCell<Memo>,
}

impl RoomView<'_> {
    /// The room.
    pub fn room(&self) -> ShortRoomId {
        self.room
    }

    /// Who looks.
    pub fn viewer(&self) -> &Viewer {
        self.viewer
    }

    /// The viewer's current membership row.
    pub fn membership(&self) -> Option<MembershipRow> {
        self.row
    }

    /// True when the viewer is joined.
    pub fn is_joined(&self) -> bool {
        self.stay == Stay::Now
    }

    /// True when the viewer is joined, or was and has not forgotten the room, as far as this server can tell.
    pub fn was_joined(&self) -> bool {
        self.stay != Stay::Never
    }

    /// True when the viewer may read something of the room: as a member, as somebody who was one (and has
    /// not forgotten the room), or because the room is world-readable now.
    pub fn may_read(&self) -> Result<bool, RoomError> {
        Ok(self.stay != Stay::Never || self.is_world_readable()?)
    }

    /// True when anybody may read what happens in the room now.
    pub fn is_world_readable(&self) -> Result<bool, RoomError> {
        Ok(self.head.is_some() && self.at(self.current_root())?.history == History::WorldReadable)
    }

    /// The first key past the part of the timeline that the viewer's membership reaches. What lies beyond
    /// it, and is world-readable, is decided event by event.
    pub fn timeline_end(&self) -> Result<TimelineKey, RoomError> {
        let newest = self.head.as_ref().map_or(TimelineKey(0), |head| head.newest);
        let end = match self.stay {
            Stay::Until(last) if !self.is_world_readable()? => last,
            _ => newest,
        };
        Ok(TimelineKey(end.0.saturating_add(1)))
    }

    /// The event, if the viewer may see it in the timeline.
    pub fn sees(&self, stored: StoredEvent) -> Result<Option<VisibleEvent>, RoomError> {
        let EventMeta { room, status, timeline, .. } = stored.meta;
        let Some(key) = timeline.filter(|_| room == self.room && status == EventStatus::Accepted) else {
            return Ok(None);
        };
        if self.is_hidden(&stored)? {
            return Ok(None);
        }
        let before = self.at(StateRoot::from_bytes(stored.meta.state_before))?;
        let after = self.after(before, &stored.event);
        // The two differ only for history visibility events and the viewer's own member events, for which
        // the spec lets either decide.
        let allowed = self.allows(key, before) || self.allows(key, after);
        let membership = Some(after.membership.unwrap_or(Membership::Leave));
        Ok(allowed.then_some(VisibleEvent { stored, membership }))
    }

    /// What is part of the graph and concerns no client: events that only join the ends of a fork, and
    /// redactions that have not taken effect (room versions 3 and up, "Handling redactions").
    fn is_hidden(&self, stored: &StoredEvent) -> Result<bool, RoomError> {
        if stored.event.event_type() == DUMMY_EVENT {
            return Ok(true);
        }
        let storage = &self.visibility.storage;
        let Some(target) = stored.event.redacts() else { return Ok(false) };
        match storage.short_event_id(target)? {
            Some(target) => Ok(storage.contains(&IDLE_REDACTIONS, &(target, stored.short))?),
            None => Ok(false),
        }
    }

    /// [`sees`](Self::sees) for an event by its short id.
    pub fn sees_short(&self, short: ShortEventId) -> Result<Option<VisibleEvent>, RoomError> {
        match self.visibility.events.get(short)? {
            Some(stored) => self.sees(stored),
            None => Ok(None),
        }
    }

    /// A sticky event, which everybody in the room sees: history visibility has no say (MSC4354).
    pub fn sticky_event(&self, short: ShortEventId) -> Result<Option<VisibleEvent>, RoomError> {
        let Some(stored) = self.visibility.events.get(short)? else { return Ok(None) };
        let is_sticky = stored.event.sticky_ms().is_some() && stored.meta.redacted_by.is_none();
        let is_here = stored.meta.room == self.room && stored.meta.status == EventStatus::Accepted;
        let is_seen = self.is_joined() && is_sticky && is_here;
        Ok(is_seen.then_some(VisibleEvent { stored, membership: None }))
    }

    /// The viewer's own current member event: it is always told to the user whom it concerns, be it the
    /// refusal of an invite or a ban from a room never joined.
    pub fn own_member_event(&self) -> Result<Option<VisibleEvent>, RoomError> {
        if self.row.is_some_and(|row| row.forgotten) { Ok(None) } else { self.last_own_member_event() }
    }

    /// The same of a room that the viewer may have forgotten: a device that was not there when the viewer left has to
    /// learn of it all the same.
    pub fn last_own_member_event(&self) -> Result<Option<VisibleEvent>, RoomError> {
        let Some(row) = self.row else { return Ok(None) };
        let stored = self.visibility.events.get(row.event)?;
        Ok(stored.map(|stored| VisibleEvent { stored, membership: Some(row.membership) }))
    }

    /// The newest state that the viewer may read: the current one for members, the one when they left for
    /// former members; `None` for others, unless the room is world-readable.
    pub fn state(&self) -> Result<Option<StateRoot>, RoomError> {
        match self.stay {
            Stay::Now => Ok(Some(self.current_root())),
            Stay::Until(key) => self.state_at(TimelineKey(key.0.saturating_add(1))).map(Some),
            Stay::Never => Ok(self.is_world_readable()?.then(|| self.current_root())),
        }
    }

    /// The room's state before the first event at `key` or later, for a viewer who may see events there;
    /// otherwise the state of [`state`](Self::state).
    pub fn readable_state_at(&self, key: TimelineKey) -> Result<Option<StateRoot>, RoomError> {
        let root = self.state_at(key)?;
        let last = TimelineKey(key.0.saturating_sub(1));
        if self.allows(last, self.at(root)?) { Ok(Some(root)) } else { self.state() }
    }

    /// An entry of a state that the viewer may read, such as those of [`state`](Self::state). Refused for
    /// those who may read nothing, and for what came after a former member's stay.
    pub fn state_event(&self, short: ShortEventId) -> Result<Option<VisibleEvent>, RoomError> {
        let Some(stored) = self.visibility.events.get(short)? else { return Ok(None) };
        let meta = stored.meta;
        let in_state =
            meta.room == self.room && stored.event.is_state() && meta.status != EventStatus::Unauthorised;
        let covered = meta.timeline.is_none_or(|key| self.covers(key)) && self.stay != Stay::Never;
        if !in_state || !(covered || self.is_world_readable()?) {
            return Ok(None);
        }
        // Its membership would cost a look into an old state for each entry, and no client asks for it here.
        Ok(Some(VisibleEvent { stored, membership: None }))
    }

    /// [`state_event`](Self::state_event) for several; those not readable are left out.
    pub fn state_events(
        &self,
        shorts: impl IntoIterator<Item = ShortEventId>,
    ) -> Result<Vec<VisibleEvent>, RoomError> {
        shorts.into_iter().filter_map(|short| self.state_event(short).transpose()).collect()
    }

    fn current_root(&self) -> StateRoot {
        self.head.as_ref().map_or(StateRoot::EMPTY, |head| StateRoot::from_bytes(head.state))
    }

    fn state_at(&self, key: TimelineKey) -> Result<StateRoot, RoomError> {
        Ok(self.visibility.history.at(self.room, key)?.unwrap_or_else(|| self.current_root()))
    }

    /// The spec's five rules, for an event at `key` and the state at it.
    fn allows(&self, key: TimelineKey, at: AtState) -> bool {
        if at.history == History::WorldReadable {
            return true;
        }
        if !self.covers(key) {
            return false;
        }
        match at.membership {
            Some(Membership::Join) => true,
            Some(Membership::Invite) => matches!(at.history, History::Shared | History::Invited),
            _ => at.history == History::Shared,
        }
    }

    /// True when the viewer was in the room at `key` or joined it later, and had not left for good before.
    fn covers(&self, key: TimelineKey) -> bool {
        match self.stay {
            Stay::Now => true,
            Stay::Until(last) => key <= last,
            Stay::Never => false,
        }
    }

    fn after(&self, before: AtState, event: &Event) -> AtState {
        if event.is_state_of(HISTORY_VISIBILITY, "") {
            AtState { history: History::of(event), ..before }
        } else if event.is_state_of("m.room.member", self.viewer.user_id.as_str()) {
            AtState { membership: membership_of(event), ..before }
        } else {
            before
        }
    }

    fn at(&self, root: StateRoot) -> Result<AtState, RoomError> {
        let bytes = root.to_bytes();
        if let Some(known) = self.memo.borrow().states.get(&bytes) {
            return Ok(*known);
        }
        let member = self.viewer.member_key();
        let keys: Vec<_> = std::iter::once(member).chain(self.history_key).collect();
        let found = self.visibility.states.get_many(root, &keys)?;
        let mut found = found.into_iter();
        let membership = match found.next().flatten() {
            Some(event) => self.membership_in(event)?,
            None => None,
        };
        let history = match found.next().flatten() {
            Some(event) => self.history_in(event)?,
            None => History::Shared,
        };
        let at = AtState { history, membership };
        let mut memo = self.memo.borrow_mut();
        memo.bound();
        memo.states.insert(bytes, at);
        Ok(at)
    }

    fn history_in(&self, short: ShortEventId) -> Result<History, RoomError> {
        if let Some(known) = self.memo.borrow().histories.get(&short) {
            return Ok(*known);
        }
        // A setting that was made but can't be read hides, rather than shows.
        let stored = self.visibility.events.get(short)?;
        let history = stored.map_or(History::Joined, |stored| History::of(&stored.event));
        self.memo.borrow_mut().histories.insert(short, history);
        Ok(history)
    }

    fn membership_in(&self, short: ShortEventId) -> Result<Option<Membership>, RoomError> {
        if let Some(known) = self.memo.borrow().memberships.get(&short) {
            return Ok(*known);
        }
        let stored = self.visibility.events.get(short)?;
        let membership = stored.and_then(|stored| membership_of(&stored.event));
        self.memo.borrow_mut().memberships.insert(short, membership);
        Ok(membership)
    }

    /// A stay that ended at a position.
    fn stay_until(&self, position: StreamPosition) -> Result<Stay, RoomError> {
        let newest = self.head.as_ref().map_or(TimelineKey(0), |head| head.newest);
        let end = TimelineKey(newest.0.saturating_add(1));
        let next = first_after(&self.visibility.storage, self.room, position, end)?;
        Ok(Stay::Until(TimelineKey(next.0.saturating_sub(1))))
    }

    /// Follows the viewer's member events back to the one that ended a stay.
    fn find_stay(&self) -> Result<Stay, RoomError> {
        let Some(row) = self.row.filter(|row| !row.forgotten) else { return Ok(Stay::Never) };
        if row.membership == Membership::Join {
            return Ok(Stay::Now);
        }
        let mut event = row.event;
        for _ in 0..limits::MEMBER_EVENTS_FOLLOWED_MAX {
            let Some(meta) = self.visibility.events.meta(event)? else { break };
            let before = StateRoot::from_bytes(meta.state_before);
            let member = self.viewer.member_key();
            let Some(previous) = self.visibility.states.get_short(before, member)? else { break };
            if self.membership_in(previous)? == Some(Membership::Join) {
                if let Some(key) = meta.timeline {
                    return Ok(Stay::Until(key));
                }
                // Not shown when it came, and what a resolution came to later: that is when the stay ended.
                return if event == row.event { self.stay_until(row.position) } else { Ok(Stay::Never) };
            }
            event = previous;
        }
        Ok(Stay::Never)
    }
}

/// The membership that a member event sets; `None` for values that the spec does not know.
pub fn membership_of(event: &Event) -> Option<Membership> {
    Membership::of(&event.membership()?.into())
}
