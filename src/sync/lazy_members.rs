//! Which members a device has been told of, so that lazy loading need not repeat them.
//!
//! The memory is bounded and may be lost at any time; the device then gets some members again. A member
//! counts as told only when the device has shown that it received the answer, by asking with a token at or
//! after that answer's: an answer that was lost on the way must be repeated whole.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use quick_cache::sync::Cache;
use ruma::{DeviceId, OwnedDeviceId};

use super::limits;
use crate::storage::{ShortEventId, ShortRoomId, ShortUserId, StreamPosition};

/// The members told to each device. Cheap to clone.
#[derive(Clone)]
pub struct LazyMembers {
    devices: Arc<Devices>,
}

type Devices = Cache<(ShortUserId, OwnedDeviceId), Arc<Mutex<Told>>>;

/// The member event last told of each member, with the position of the answer that told it.
type Told = HashMap<(ShortRoomId, ShortUserId), (ShortEventId, StreamPosition)>;

impl std::fmt::Debug for LazyMembers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LazyMembers").field("devices", &self.devices.len()).finish()
    }
}

impl Default for LazyMembers {
    fn default() -> Self {
        Self { devices: Arc::new(Cache::new(limits::LAZY_DEVICES_MAX)) }
    }
}

impl LazyMembers {
    /// A device's memory, for one request: `since` is its token's position, `None` if it starts afresh (it
    /// then knows nobody), and `now` the position of the answer.
    pub fn of_device(
        &self,
        user: ShortUserId,
        device: &DeviceId,
        since: Option<StreamPosition>,
        now: StreamPosition,
    ) -> DeviceMembers {
        let key = (user, device.to_owned());
        let told = self.devices.get(&key).unwrap_or_else(|| {
            let told = Arc::<Mutex<Told>>::default();
            self.devices.insert(key, told.clone());
            told
        });
        if since.is_none() {
            told.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        DeviceMembers { told, since: since.unwrap_or_default(), now }
    }
}

/// One device's memory during one request.
#[derive(Debug)]
pub struct DeviceMembers {
    told: Arc<Mutex<Told>>,
    since: StreamPosition,
    now: StreamPosition,
}

impl DeviceMembers {
    /// True when the device has received just this member event already.
    pub fn knows(&self, room: ShortRoomId, member: ShortUserId, event: ShortEventId) -> bool {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.get(&(room, member)).is_some_and(|&(known, at)| known == event && at <= self.since)
    }

    /// Remembers that this answer tells the device of a member.
    pub fn tell(&self, room: ShortRoomId, member: ShortUserId, event: ShortEventId) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= limits::LAZY_MEMBERS_PER_DEVICE_MAX && !told.contains_key(&(room, member)) {
            told.clear();
        }
        told.insert((room, member), (event, self.now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruma::device_id;

    const ROOM: ShortRoomId = ShortRoomId(1);
    const BOB: ShortUserId = ShortUserId(2);

    fn request(members: &LazyMembers, since: Option<u64>, now: u64) -> DeviceMembers {
        members.of_device(ShortUserId(1), device_id!("A"), since.map(StreamPosition), StreamPosition(now))
    }

    #[test]
    fn a_member_is_known_once_the_answer_is_acknowledged() {
        let members = LazyMembers::default();
        request(&members, Some(5), 10).tell(ROOM, BOB, ShortEventId(7));
        assert!(!request(&members, Some(5), 11).knows(ROOM, BOB, ShortEventId(7)), "the answer was lost");
        assert!(request(&members, Some(10), 12).knows(ROOM, BOB, ShortEventId(7)));
        assert!(!request(&members, Some(10), 12).knows(ROOM, BOB, ShortEventId(8)), "a new profile");
        let other = members.of_device(ShortUserId(1), device_id!("B"), None, StreamPosition(12));
        assert!(!other.knows(ROOM, BOB, ShortEventId(7)));
    }

    #[test]
    fn starting_afresh_forgets() {
        let members = LazyMembers::default();
        request(&members, Some(5), 10).tell(ROOM, BOB, ShortEventId(7));
        request(&members, None, 10);
        assert!(!request(&members, Some(10), 12).knows(ROOM, BOB, ShortEventId(7)));
    }

    #[test]
    fn the_memory_is_bounded() {
        let members = LazyMembers::default();
        let device = request(&members, Some(0), 1);
        for member in 0..2 * limits::LAZY_MEMBERS_PER_DEVICE_MAX as u64 {
            device.tell(ROOM, ShortUserId(member), ShortEventId(1));
        }
        assert!(device.told.lock().unwrap().len() <= limits::LAZY_MEMBERS_PER_DEVICE_MAX);
    }
}
