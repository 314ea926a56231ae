//! Which application services look after a room: those that name it or one of its aliases, and those with a
//! user in it.
//!
//! What is remembered of a room's members follows the member events in their order, so that an event is judged
//! by who was in the room when it was sent; only the first look at a room reads its local members.

use std::collections::HashMap;

use super::{DeliveryError, limits};
use crate::{
    matrix::event::Event,
    storage::{
        Direction, Read, ShortRoomId, Storage,
        tables::{LOCAL_MEMBERS, ROOM_ALIASES},
    },
    users::appservices::{Appservice, Registered},
};

/// A set of application services, by their places in a [`Registered`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Interested([u64; 4]);

impl Interested {
    pub(super) fn add(&mut self, place: usize) {
        if let Some(word) = self.0.get_mut(place / 64) {
            *word |= 1 << (place % 64);
        }
    }

    pub(super) fn join(&mut self, other: Self) {
        for (word, other) in self.0.iter_mut().zip(other.0) {
            *word |= other;
        }
    }

    pub(super) fn contains(self, place: usize) -> bool {
        self.0.get(place / 64).is_some_and(|word| word & (1 << (place % 64)) != 0)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == [0; 4]
    }
}

/// What is remembered of rooms.
#[derive(Debug, Default)]
pub(super) struct RoomInterest {
    by_members: HashMap<ShortRoomId, Interested>,
}

impl RoomInterest {
    /// Forgets all, as other application services are registered now.
    pub(super) fn clear(&mut self) {
        self.by_members.clear();
    }

    /// Those that look after the room as it is before the events that are still to be told of.
    pub(super) fn of_room(
        &mut self,
        storage: &Storage,
        registered: &Registered,
        room: ShortRoomId,
    ) -> Result<Interested, DeliveryError> {
        let mut interested = self.by_members(storage, registered, room)?;
        let room_id = storage.room_id(room)?;
        add_all(&mut interested, registered.of_room(&room_id));
        if registered.has_alias_namespaces() {
            let range = ROOM_ALIASES.prefix(&(room,));
            for row in storage.scan(&ROOM_ALIASES, &range, Direction::Forward) {
                let ((_, alias), ()) = row?;
                add_all(&mut interested, registered.of_alias(&alias));
            }
        }
        Ok(interested)
    }

    fn by_members(
        &mut self,
        storage: &Storage,
        registered: &Registered,
        room: ShortRoomId,
    ) -> Result<Interested, DeliveryError> {
        if let Some(known) = self.by_members.get(&room) {
            return Ok(*known);
        }
        let mut interested = Interested::default();
        for row in storage.scan(&LOCAL_MEMBERS, &LOCAL_MEMBERS.prefix(&(room,)), Direction::Forward) {
            let ((_, user), ()) = row?;
            add_all(&mut interested, registered.of_user(&storage.user_id(user)?));
            let has_all = registered.all().iter().all(|service| interested.contains(service.place()));
            if has_all {
                break;
            }
        }
        if self.by_members.len() >= limits::ROOMS_REMEMBERED_MAX {
            self.by_members.clear();
        }
        self.by_members.insert(room, interested);
        Ok(interested)
    }

    /// Those that one event concerns beside the room: whose user sent it, or is its member event's.
    pub(super) fn of_event(registered: &Registered, event: &Event) -> Interested {
        let mut interested = Interested::default();
        add_all(&mut interested, registered.of_user(event.sender()));
        if let Some(member) = member_of(event) {
            add_all(&mut interested, registered.of_user(member));
        }
        interested
    }

    /// Follows an event: who has joined looks after the room from now on, and when somebody has left, the next
    /// look counts the members again.
    pub(super) fn follow(&mut self, registered: &Registered, room: ShortRoomId, event: &Event) {
        let Some(member) = member_of(event) else { return };
        let mut own = Interested::default();
        add_all(&mut own, registered.of_user(member));
        if own.is_empty() {
            return;
        }
        let is_join = event.membership().is_some_and(|membership| membership.as_str() == "join");
        match self.by_members.get_mut(&room) {
            Some(known) if is_join => known.join(own),
            _ => drop(self.by_members.remove(&room)),
        }
    }
}

fn add_all<'a>(interested: &mut Interested, services: impl Iterator<Item = &'a std::sync::Arc<Appservice>>) {
    for service in services {
        interested.add(service.place());
    }
}

/// The user whose membership an event sets.
pub(super) fn member_of(event: &Event) -> Option<&ruma::UserId> {
    if event.event_type() != "m.room.member" {
        return None;
    }
    <&ruma::UserId>::try_from(event.state_key()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_kept_apart() {
        let mut interested = Interested::default();
        assert!(interested.is_empty());
        for place in [0, 63, 64, 255] {
            interested.add(place);
            assert!(interested.contains(place));
        }
        assert!(!interested.contains(1) && !interested.contains(256));
        interested.add(256);
        assert!(!interested.contains(256), "there are no more than 256");
    }
}
