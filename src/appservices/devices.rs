//! What application services are told of devices, so that a bridge can encrypt without a sync of its own:
//! messages to its users' devices ([MSC4203]), whose devices changed among those that its users share rooms with,
//! and that its devices' stocks of one-time keys changed ([MSC3202]).
//!
//! A message stays in its device's queue as well, for a bridge that syncs after all. Of device lists a bridge is told
//! as a client is: of users whose keys changed or who came into one of its rooms (their keys may have changed
//! unseen), and of those who left the last one. When its own last user leaves a room, it knows so itself.
//!
//! [MSC3202]: https://github.com/matrix-org/matrix-spec-proposals/pull/3202
//! [MSC4203]: https://github.com/matrix-org/matrix-spec-proposals/pull/4203

use std::collections::BTreeSet;

use ruma::{OwnedDeviceId, OwnedUserId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::{
    DeliveryError,
    interest::{Interested, RoomInterest, member_of},
    router::{Queues, Routed},
};
use crate::{
    matrix::event::Event,
    storage::{
        Direction, Read, ShortUserId, Storage, StorageError, StreamPosition,
        records::{Membership, QueuedForAppservice},
        tables::{APPSERVICE_DEVICE_NEWS, DEVICE_LIST_CHANGES, MEMBERSHIPS, TO_DEVICE},
    },
    users::appservices::{Registered, Registration},
};

/// Finds what is new of devices.
#[derive(Clone, Copy)]
pub(super) struct DeviceNews<'a> {
    pub(super) storage: &'a Storage,
    pub(super) registered: &'a Registered,
}

/// A message for a device as a transaction has it.
#[derive(Debug, Serialize, Deserialize)]
struct Message<'a> {
    r#type: std::borrow::Cow<'a, str>,
    sender: OwnedUserId,
    #[serde(default)]
    to_user_id: Option<OwnedUserId>,
    #[serde(default)]
    to_device_id: Option<OwnedDeviceId>,
    #[serde(borrow)]
    content: &'a RawValue,
}

impl DeviceNews<'_> {
    /// Adds what is new within a span; the rows of news that need not be looked at again.
    pub(super) fn route(
        self,
        (since, until): (StreamPosition, StreamPosition),
        interest: &mut RoomInterest,
        routed: &mut Queues,
    ) -> Result<Vec<StreamPosition>, DeliveryError> {
        let mut done = Vec::new();
        let mut restocked = BTreeSet::new();
        let rows =
            self.storage.scan(&APPSERVICE_DEVICE_NEWS, &APPSERVICE_DEVICE_NEWS.all(), Direction::Forward);
        for row in rows {
            let (position, (user, device_id)) = row?;
            if position > until {
                break;
            }
            done.push(position);
            // Of before the first registration.
            if position > since {
                self.route_message((user, device_id.clone(), position), routed)?;
                restocked.insert((user, device_id));
            }
        }
        for (user, device_id) in restocked {
            let user: OwnedUserId = self.storage.user_id(user)?;
            let item = || QueuedForAppservice::KeyStock(user.to_string(), device_id.to_string());
            self.add_for(&user, Registration::wants_device_changes, item, routed);
        }
        self.route_device_lists((since, until), interest, routed)?;
        Ok(done)
    }

    /// The message that the news is of, if it is of one that has not been fetched meanwhile.
    fn route_message(
        self,
        key: (ShortUserId, OwnedDeviceId, StreamPosition),
        routed: &mut Queues,
    ) -> Result<(), DeliveryError> {
        let Some(text) = self.storage.get(&TO_DEVICE, &key)? else { return Ok(()) };
        let user: OwnedUserId = self.storage.user_id(key.0)?;
        let mut message: Message<'_> = match serde_json::from_slice(&text) {
            Ok(message) => message,
            Err(error) => {
                tracing::error!(%user, device = %key.1, %error, "a message for a device is damaged");
                return Ok(());
            }
        };
        (message.to_user_id, message.to_device_id) = (Some(user.clone()), Some(key.1));
        let message = to_raw_value(&message)?;
        let item = || QueuedForAppservice::ToDevice(message.clone());
        self.add_for(&user, Registration::wants_to_device, item, routed);
        Ok(())
    }

    /// Adds an item for those that a user belongs to and that want it.
    fn add_for(
        self,
        user: &UserId,
        wants: fn(&Registration) -> bool,
        item: impl Fn() -> QueuedForAppservice,
        routed: &mut Queues,
    ) {
        let services = self.registered.of_user(user).filter(|service| wants(&service.registration));
        let places: BTreeSet<_> = services.map(|service| service.place()).collect();
        for place in places {
            routed.entry(place).or_default().push(Routed::Device(item()));
        }
    }

    /// Users whose devices changed, for those that look after a room that the user is in. Costs the user's rooms:
    /// devices change seldom.
    fn route_device_lists(
        self,
        (since, until): (StreamPosition, StreamPosition),
        interest: &mut RoomInterest,
        routed: &mut Queues,
    ) -> Result<(), DeliveryError> {
        let all = self.registered.all().iter();
        let wanting: Vec<_> = all.filter(|service| service.registration.wants_device_changes()).collect();
        if wanting.is_empty() {
            return Ok(());
        }
        let range = DEVICE_LIST_CHANGES.from(&StreamPosition(since.0.saturating_add(1)));
        for row in self.storage.scan(&DEVICE_LIST_CHANGES, &range, Direction::Forward) {
            let (position, user) = row?;
            if position > until {
                break;
            }
            let interested = self.interested_in(user, interest, usize::MAX)?;
            let user: OwnedUserId = self.storage.user_id(user)?;
            for service in wanting.iter().filter(|service| interested.contains(service.place())) {
                let item = QueuedForAppservice::DeviceList(user.to_string());
                routed.entry(service.place()).or_default().push(Routed::Device(item));
            }
        }
        Ok(())
    }

    /// A user who came or went in a room of those in `of_room`, for those whose own user it is not.
    pub(super) fn route_member(
        self,
        of_room: Interested,
        event: &Event,
        interest: &mut RoomInterest,
        routed: &mut Queues,
    ) -> Result<(), DeliveryError> {
        let Some(member) = member_of(event) else { return Ok(()) };
        let own: BTreeSet<_> = self.registered.of_user(member).map(|service| service.place()).collect();
        let all = self.registered.all().iter();
        let told = all.filter(|service| {
            let place = service.place();
            service.registration.wants_device_changes() && of_room.contains(place) && !own.contains(&place)
        });
        let told: Vec<_> = told.map(|service| service.place()).collect();
        let Some(user) = self.storage.short_user_id(member)?.filter(|_| !told.is_empty()) else {
            return Ok(());
        };
        let is_join = event.membership().is_some_and(|membership| membership.as_str() == "join");
        let sharing = self.interested_in(user, interest, usize::MAX)?;
        for place in told {
            let item = match (is_join, sharing.contains(place)) {
                (true, _) => QueuedForAppservice::DeviceList(member.to_string()),
                (false, true) => continue,
                (false, false) => QueuedForAppservice::DeviceListLeft(member.to_string()),
            };
            routed.entry(place).or_default().push(Routed::Device(item));
        }
        Ok(())
    }

    /// Those that a user belongs to, and that look after a room that the user is in now; of so many rooms.
    pub(super) fn interested_in(
        self,
        user: ShortUserId,
        interest: &mut RoomInterest,
        rooms_max: usize,
    ) -> Result<Interested, DeliveryError> {
        let mut interested = Interested::default();
        let user_id: OwnedUserId = self.storage.user_id(user)?;
        for service in self.registered.of_user(&user_id) {
            interested.add(service.place());
        }
        let rooms = self.storage.scan(&MEMBERSHIPS, &MEMBERSHIPS.prefix(&(user,)), Direction::Forward);
        let rooms: Vec<_> = rooms.take(rooms_max).collect::<Result<_, StorageError>>()?;
        for ((_, room), row) in rooms {
            if matches!(row.membership, Membership::Join | Membership::Invite) {
                interested.join(interest.of_room(self.storage, self.registered, room)?);
            }
        }
        Ok(interested)
    }
}
