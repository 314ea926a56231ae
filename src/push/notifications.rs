//! What a user has been notified of, or would have been: the list behind `GET /notifications`.
//!
//! Nothing is kept for it. A page is found when it is asked for: the newest events of all rooms that the user is
//! in, newest first, each tried on the user's rules as they are now, as unread counts do. So sending costs
//! nothing, nobody's list grows, and a page costs at most [`limits::NOTIFICATIONS_EVALUATED_MAX`] events beside
//! two small reads a room. The main type is [`Notifications`].

use std::collections::{BinaryHeap, HashMap};

use ruma::{OwnedRoomId, push::Action};

use super::{UnreadCounts, limits, unread::Reader};
use crate::{
    rooms::{RoomError, RoomIndex, RoomView, StoredEvent, Timelines, Viewer, Visibility, VisibleEvent},
    storage::{
        Direction, Read, ShortEventId, ShortRoomId, Storage, StorageError, StreamPosition, TimelineKey,
        records::Membership,
        tables::{ROOM_CHANGE_POSITIONS, TIMELINE},
    },
};

/// Which notifications are asked for.
#[derive(Debug, Clone, Copy)]
pub struct NotificationsRequest {
    /// Only what came before this position; `None` for the newest.
    pub before: Option<StreamPosition>,
    /// The most notifications; kept between 1 and [`limits::NOTIFICATIONS_PAGE_MAX`].
    pub limit: usize,
    /// Only those that are highlighted.
    pub highlights_only: bool,
}

/// An event that notifies.
#[derive(Debug, Clone)]
pub struct Notified {
    /// Its room.
    pub room: ShortRoomId,
    /// The room's id.
    pub room_id: OwnedRoomId,
    /// The event.
    pub event: VisibleEvent,
    /// What the matching rule asks for.
    pub actions: Vec<Action>,
    /// Whether a receipt of the user's covers it.
    pub is_read: bool,
}

/// A page of notifications, the newest first.
#[derive(Debug, Clone)]
pub struct NotificationPage {
    /// Possibly fewer than asked for though there are more.
    pub notifications: Vec<Notified>,
    /// Where to go on; `None` when there is nothing more.
    pub next: Option<StreamPosition>,
}

/// Finds notifications. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Notifications {
    storage: Storage,
    index: RoomIndex,
    timelines: Timelines,
    visibility: Visibility,
    unread: UnreadCounts,
}

/// A room of the user's while a page is found.
struct Place<'a> {
    view: RoomView<'a>,
    reader: Reader<'a>,
    room_id: OwnedRoomId,
    /// What the user's membership starts with.
    first: TimelineKey,
    /// Everything from here on was looked at.
    reached: TimelineKey,
    /// How far each thread was read, as far as it was asked; `None` is the main timeline.
    read_to: HashMap<Option<ShortEventId>, TimelineKey>,
}

/// The next event of a room.
struct Next {
    key: TimelineKey,
    event: ShortEventId,
}

impl Notifications {
    /// Over rooms' histories; `unread` knows how rules are asked.
    pub fn new(
        storage: Storage,
        index: RoomIndex,
        timelines: Timelines,
        visibility: Visibility,
        unread: UnreadCounts,
    ) -> Self {
        Self { storage, index, timelines, visibility, unread }
    }

    /// A page of the viewer's notifications.
    pub fn page(
        &self,
        viewer: &Viewer,
        request: &NotificationsRequest,
    ) -> Result<NotificationPage, RoomError> {
        let durable = self.storage.position();
        let until =
            request.before.map_or(durable, |before| durable.min(StreamPosition(before.0.saturating_sub(1))));
        let limit = request.limit.clamp(1, limits::NOTIFICATIONS_PAGE_MAX);
        // Each room with the position of its next event, or with one that it can't be after.
        let mut heap = self.rooms(viewer, until)?;
        let mut places: HashMap<ShortRoomId, (Place<'_>, Option<Next>)> = HashMap::new();
        let mut page = NotificationPage { notifications: Vec::new(), next: None };
        let mut evaluated = 0;
        while let Some((position, room)) = heap.pop() {
            let is_over =
                page.notifications.len() >= limit || evaluated >= limits::NOTIFICATIONS_EVALUATED_MAX;
            // Of a room that was not looked at the position is a bound, and a page from there might be this one again.
            if is_over && places.contains_key(&room) {
                page.next = Some(StreamPosition(position.0.saturating_add(1)));
                break;
            }
            let mut at = match places.remove(&room) {
                Some(at) => at,
                None => match self.place(viewer, room, until)? {
                    Some(place) => (place, None),
                    None => continue,
                },
            };
            if let Some(next) = at.1.take() {
                evaluated += 1;
                let found = self.notified(room, &mut at.0, &next)?;
                page.notifications
                    .extend(found.filter(|found| !request.highlights_only || is_highlight(found)));
            }
            if let Some((next, position)) = self.next(room, &mut at.0)? {
                at.1 = Some(next);
                heap.push((position, room));
                places.insert(room, at);
            }
        }
        Ok(page)
    }

    /// The rooms that the user is in, each with a position that its newest event to look at can't be after.
    fn rooms(
        &self,
        viewer: &Viewer,
        until: StreamPosition,
    ) -> Result<BinaryHeap<(StreamPosition, ShortRoomId)>, StorageError> {
        let mut rooms = Vec::new();
        for row in self.index.rooms_of(viewer.user) {
            let (room, row) = row?;
            if row.membership != Membership::Join || row.position >= until {
                continue;
            }
            if let Some(changed) = self.storage.get(&ROOM_CHANGE_POSITIONS, &room)? {
                rooms.push((changed.min(until), room));
            }
        }
        Ok(rooms.into())
    }

    /// A room as it is before anything of it was looked at.
    fn place<'a>(
        &'a self,
        viewer: &'a Viewer,
        room: ShortRoomId,
        until: StreamPosition,
    ) -> Result<Option<Place<'a>>, RoomError> {
        let view = self.visibility.view(viewer, room)?;
        let Some(row) = view.membership() else { return Ok(None) };
        let end = view.timeline_end()?;
        let first = self.timelines.first_after(room, row.position, end)?;
        let reached = self.timelines.first_after(room, until, end)?;
        let room_id = self.storage.room_id(room)?;
        let reader = self.unread.reader(viewer, room)?;
        Ok(Some(Place { view, reader, room_id, first, reached, read_to: HashMap::new() }))
    }

    /// The newest event of the room that was not looked at, and its position.
    fn next(
        &self,
        room: ShortRoomId,
        place: &mut Place<'_>,
    ) -> Result<Option<(Next, StreamPosition)>, StorageError> {
        if place.reached <= place.first {
            return Ok(None);
        }
        let range = TIMELINE.between(&(room, place.first), &(room, place.reached));
        let Some(row) = self.storage.scan(&TIMELINE, &range, Direction::Backward).next() else {
            return Ok(None);
        };
        let ((_, key), (event, position)) = row?;
        place.reached = key;
        Ok(Some((Next { key, event }, position)))
    }

    fn notified(
        &self,
        room: ShortRoomId,
        place: &mut Place<'_>,
        next: &Next,
    ) -> Result<Option<Notified>, RoomError> {
        let Some(event) = place.view.sees_short(next.event)? else { return Ok(None) };
        let Some(actions) = self.unread.actions(&place.reader, place.view.viewer(), event.stored())? else {
            return Ok(None);
        };
        let is_read = next.key <= self.read_to(room, place, event.stored())?;
        Ok(Some(Notified { room, room_id: place.room_id.clone(), event, actions, is_read }))
    }

    /// How far the user has read the event's thread.
    fn read_to(
        &self,
        room: ShortRoomId,
        place: &mut Place<'_>,
        event: &StoredEvent,
    ) -> Result<TimelineKey, RoomError> {
        let thread = self.unread.thread(event)?;
        if let Some(read_to) = place.read_to.get(&thread) {
            return Ok(*read_to);
        }
        let read_to = self.unread.thread_read_to(place.view.viewer().user, room, thread)?;
        place.read_to.insert(thread, read_to);
        Ok(read_to)
    }
}

fn is_highlight(notified: &Notified) -> bool {
    notified.actions.iter().any(Action::is_highlight)
}

#[cfg(test)]
#[path = "notifications_tests.rs"]
mod tests;
