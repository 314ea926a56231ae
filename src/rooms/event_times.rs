//! Events by their time ([timestamp to event]): from an index, whatever the length of the room.
//!
//! [timestamp to event]: https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidtimestamp_to_event

use ruma::api::Direction as Order;

use super::{ReadError, RoomError, RoomView, StoredEvent, VisibleEvent, limits, resident::ServerView};
use crate::storage::{
    Direction, Read, ShortEventId, ShortRoomId, Storage, StreamPosition, TimelineKey, tables::EVENT_TIMES,
};

/// Finds events by time. Cheap to clone.
#[derive(Debug, Clone)]
pub struct EventTimes {
    storage: Storage,
}

impl EventTimes {
    /// Over `storage`.
    pub fn new(storage: Storage) -> Self {
        Self { storage }
    }

    /// The event that is nearest to a time, in milliseconds since 1970, among those not before it (forward) or
    /// not after it (backward), that the viewer may see. At most [`limits::EVENT_TIMES_READ_MAX`] events that
    /// are hidden from the viewer are passed.
    pub fn nearest(
        &self,
        view: &RoomView<'_>,
        time_ms: u64,
        order: Order,
    ) -> Result<VisibleEvent, ReadError> {
        let sees = |event| Ok(view.sees_short(event)?.map(|seen| (seen.meta().position, seen)));
        self.nearest_that(view.room(), time_ms, order, sees)?.ok_or(ReadError::NotFound("Event"))
    }

    /// As [`nearest`](Self::nearest), for another server that may see a part of the room.
    pub fn nearest_for_server(
        &self,
        view: &ServerView<'_>,
        time_ms: u64,
        order: Order,
    ) -> Result<Option<StoredEvent>, RoomError> {
        let sees = |event| Ok(view.sees_short(event)?.map(|seen| (seen.meta.position, seen)));
        self.nearest_that(view.room(), time_ms, order, sees)
    }

    /// As [`nearest`](Self::nearest), for this server's administrators, who may see all.
    pub fn nearest_of_all(
        &self,
        room: ShortRoomId,
        time_ms: u64,
        order: Order,
    ) -> Result<Option<ShortEventId>, RoomError> {
        let sees = |event| Ok(Some((StreamPosition(0), event)));
        self.nearest_that(room, time_ms, order, sees)
    }

    /// The time of the earliest event of a room that this server has.
    pub fn earliest(&self, room: ShortRoomId) -> Result<Option<u64>, RoomError> {
        let rows = self.storage.scan(&EVENT_TIMES, &EVENT_TIMES.prefix(&(room,)), Direction::Forward);
        let mut times = rows.map(|row| row.map(|((_, time_ms, _), _)| time_ms));
        Ok(times.next().transpose()?)
    }

    fn nearest_that<T>(
        &self,
        room: ShortRoomId,
        time_ms: u64,
        order: Order,
        sees: impl Fn(ShortEventId) -> Result<Option<(StreamPosition, T)>, RoomError>,
    ) -> Result<Option<T>, RoomError> {
        let first = TimelineKey(i64::MIN);
        let (range, direction) = match order {
            Order::Forward => {
                (EVENT_TIMES.prefix_from(&(room,), &(room, time_ms, first)), Direction::Forward)
            }
            Order::Backward => {
                let after = (room, time_ms.saturating_add(1), first);
                (EVENT_TIMES.prefix_until(&(room,), &after), Direction::Backward)
            }
        };
        let durable = self.storage.position();
        let rows = self.storage.scan(&EVENT_TIMES, &range, direction);
        for row in rows.take(limits::EVENT_TIMES_READ_MAX) {
            match sees(row?.1)? {
                Some((position, event)) if position <= durable => return Ok(Some(event)),
                _ => {}
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use ruma::OwnedEventId;

    use super::*;
    use crate::rooms::{Viewer, Visibility, testing::RoomsFixture};

    #[test]
    fn the_nearest_event_in_either_direction_is_found() {
        let fixture = RoomsFixture::new();
        let (alice, bob) = (RoomsFixture::user("alice"), RoomsFixture::user("bob"));
        let room = fixture.public_room(&alice);
        let mut said: Vec<(u64, OwnedEventId)> = Vec::new();
        for body in ["a", "b", "c"] {
            fixture.clock.advance_ms(1_000);
            let event = fixture.say(&room, &alice, body);
            let stored = fixture.events.by_id(&event).unwrap().unwrap();
            said.push((stored.event.origin_server_ts(), event));
        }
        fixture.storage.durable_blocking().unwrap();
        let times = EventTimes::new(fixture.storage.clone());
        let visibility = Visibility::new(
            fixture.storage.clone(),
            fixture.index.clone(),
            fixture.events.clone(),
            fixture.states.clone(),
        );
        let user = fixture.storage.write(|rows| rows.intern_user(&bob)).unwrap();
        let bob = Viewer { user, user_id: bob, device_id: None };
        let user = fixture.storage.short_user_id(&alice).unwrap().unwrap();
        let alice = Viewer { user, user_id: alice, device_id: None };
        let find = |viewer: &Viewer, time, order| {
            let view = visibility.view(viewer, fixture.short(&room)).unwrap();
            times.nearest(&view, time, order).ok().map(|event| event.event().event_id().to_owned())
        };
        let (time, middle) = said[1].clone();
        for (at, order) in [
            (time, Order::Forward),
            (time, Order::Backward),
            (time - 1, Order::Forward),
            (time + 1, Order::Backward),
        ] {
            assert_eq!(find(&alice, at, order).as_ref(), Some(&middle));
        }
        assert_eq!(find(&alice, said[2].0 + 1, Order::Forward), None);
        assert_eq!(find(&alice, 0, Order::Backward), None);
        assert_eq!(find(&bob, time, Order::Forward), None, "who was never in the room");
    }
}
