//! Who is typing where ([typing notifications]): in memory, gone with a restart.
//!
//! Each change of a room's list takes the next serial, which sync tokens carry beside the stream position. It
//! starts from the time of day in milliseconds, so that tokens of an earlier run are smaller. Nothing polls:
//! [`Typing::expire`] sleeps until the earliest time-out. Main type: [`Typing`].
//!
//! [typing notifications]: https://spec.matrix.org/v1.19/client-server-api/#typing-notifications

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use tokio::sync::Notify;

use super::limits;
use crate::{
    storage::{ShortRoomId, ShortUserId},
    users::Clock,
};

type Listener = Box<dyn Fn(ShortRoomId) + Send + Sync>;

/// Knows who is typing. Cheap to clone.
#[derive(Clone)]
pub struct Typing {
    inner: Arc<Inner>,
}

struct Inner {
    rooms: Mutex<TypingRooms>,
    listeners: RwLock<Vec<Listener>>,
    /// Woken when a time-out earlier than all others has been set.
    earlier: Notify,
    clock: Clock,
}

impl std::fmt::Debug for Typing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Typing").field("serial", &self.serial()).finish_non_exhaustive()
    }
}

impl Typing {
    /// Nobody types.
    pub fn new(clock: Clock) -> Self {
        let rooms = TypingRooms { serial: clock.now_ms(), ..TypingRooms::default() };
        let inner =
            Inner { rooms: Mutex::new(rooms), listeners: RwLock::default(), earlier: Notify::new(), clock };
        Self { inner: Arc::new(inner) }
    }

    /// Calls `listener` with each room whose list has changed, from the thread that changed it: it must be
    /// quick and never block.
    pub fn on_change(&self, listener: impl Fn(ShortRoomId) + Send + Sync + 'static) {
        self.inner.listeners.write().unwrap_or_else(PoisonError::into_inner).push(Box::new(listener));
    }

    /// A user types, for `timeout` from now, kept within [`limits::TYPING_MS_MIN`] and
    /// [`limits::TYPING_MS_MAX`]. Only who was not typing before changes the list.
    pub fn start(&self, room: ShortRoomId, user: ShortUserId, timeout: Duration) {
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        let timeout_ms = timeout_ms.clamp(limits::TYPING_MS_MIN, limits::TYPING_MS_MAX);
        let deadline = self.inner.clock.now_ms().saturating_add(timeout_ms);
        let mut rooms = self.rooms();
        let earliest = rooms.earliest_deadline();
        let changed = rooms.start(room, user, deadline);
        if rooms.earliest_deadline() != earliest {
            self.inner.earlier.notify_one();
        }
        drop(rooms);
        if changed {
            self.tell(&[room]);
        }
    }

    /// A user does not type any more.
    pub fn stop(&self, room: ShortRoomId, user: ShortUserId) {
        let changed = self.rooms().stop(room, user);
        if changed {
            self.tell(&[room]);
        }
    }

    /// The newest change's serial: what a sync token carries.
    pub fn serial(&self) -> u64 {
        self.rooms().serial
    }

    /// Who is typing in a room.
    pub fn typists(&self, room: ShortRoomId) -> Vec<ShortUserId> {
        self.rooms().typists(room)
    }

    /// Who is typing in a room, if that has changed after `serial`.
    pub fn typing_since(&self, room: ShortRoomId, serial: u64) -> Option<Vec<ShortUserId>> {
        let rooms = self.rooms();
        rooms.by_room.get(&room).filter(|typing| typing.serial > serial)?;
        Some(rooms.typists(room))
    }

    /// The rooms whose list has changed after `serial`, oldest change first. At most
    /// [`limits::TYPING_ROOMS_MAX`].
    pub fn rooms_since(&self, serial: u64) -> Vec<ShortRoomId> {
        let changed = (std::ops::Bound::Excluded(serial), std::ops::Bound::Unbounded);
        self.rooms().by_serial.range(changed).map(|(_, room)| *room).collect()
    }

    /// Ends each user's typing when its time is over. Runs until dropped; the server spawns it once.
    pub async fn expire(self) {
        loop {
            let earliest = self.rooms().earliest_deadline();
            match earliest.map(|deadline| deadline.saturating_sub(self.inner.clock.now_ms())) {
                None => self.inner.earlier.notified().await,
                Some(0) => {}
                Some(left_ms) => {
                    // A clock that was set back must not stretch the sleep.
                    let left = Duration::from_millis(left_ms.min(limits::TYPING_MS_MAX));
                    tokio::select! {
                        () = tokio::time::sleep(left) => {}
                        () = self.inner.earlier.notified() => {}
                    }
                }
            }
            self.expire_due();
        }
    }

    /// Ends the typing of those whose time is over.
    pub fn expire_due(&self) {
        let changed = self.rooms().expire(self.inner.clock.now_ms());
        self.tell(&changed);
    }

    fn rooms(&self) -> MutexGuard<'_, TypingRooms> {
        // The lists stay whole whatever panics: each change is complete before anything else is called.
        self.inner.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, rooms: &[ShortRoomId]) {
        let listeners = self.inner.listeners.read().unwrap_or_else(PoisonError::into_inner);
        for room in rooms {
            listeners.iter().for_each(|listener| listener(*room));
        }
    }
}

#[derive(Default)]
struct TypingRooms {
    serial: u64,
    by_room: HashMap<ShortRoomId, TypingRoom>,
    /// Each room's newest change.
    by_serial: BTreeMap<u64, ShortRoomId>,
    /// Milliseconds since 1970 at which each ends.
    deadlines: BTreeSet<(u64, ShortRoomId, ShortUserId)>,
}

#[derive(Default)]
struct TypingRoom {
    serial: u64,
    /// Until when each types.
    typists: BTreeMap<ShortUserId, u64>,
}

impl TypingRooms {
    fn earliest_deadline(&self) -> Option<u64> {
        self.deadlines.first().map(|(deadline, ..)| *deadline)
    }

    fn typists(&self, room: ShortRoomId) -> Vec<ShortUserId> {
        self.by_room.get(&room).map_or_else(Vec::new, |room| room.typists.keys().copied().collect())
    }

    /// True when the list has changed.
    fn start(&mut self, room: ShortRoomId, user: ShortUserId, deadline: u64) -> bool {
        if !self.by_room.contains_key(&room) && !self.make_room() {
            return false;
        }
        let typing = self.by_room.entry(room).or_default();
        let known = typing.typists.contains_key(&user);
        if !known && typing.typists.len() >= limits::TYPISTS_PER_ROOM_MAX {
            return false;
        }
        if let Some(before) = typing.typists.insert(user, deadline) {
            self.deadlines.remove(&(before, room, user));
        }
        self.deadlines.insert((deadline, room, user));
        if !known {
            self.changed(room);
        }
        !known
    }

    /// True when the list has changed.
    fn stop(&mut self, room: ShortRoomId, user: ShortUserId) -> bool {
        let deadline = self.by_room.get_mut(&room).and_then(|typing| typing.typists.remove(&user));
        let Some(deadline) = deadline else { return false };
        self.deadlines.remove(&(deadline, room, user));
        self.changed(room);
        true
    }

    /// The rooms whose lists have changed.
    fn expire(&mut self, now: u64) -> Vec<ShortRoomId> {
        let mut changed = BTreeSet::new();
        while let Some((deadline, room, user)) = self.deadlines.first().copied() {
            if deadline > now {
                break;
            }
            self.stop(room, user);
            changed.insert(room);
        }
        changed.into_iter().collect()
    }

    fn changed(&mut self, room: ShortRoomId) {
        self.serial += 1;
        if let Some(typing) = self.by_room.get_mut(&room) {
            self.by_serial.remove(&typing.serial);
            typing.serial = self.serial;
            self.by_serial.insert(self.serial, room);
        }
    }

    /// Forgets the room where it is longest that nobody types, if there are too many rooms. False when
    /// somebody types in all of them.
    fn make_room(&mut self) -> bool {
        if self.by_room.len() < limits::TYPING_ROOMS_MAX {
            return true;
        }
        let quiet =
            |room: &ShortRoomId| self.by_room.get(room).is_none_or(|typing| typing.typists.is_empty());
        let oldest =
            self.by_serial.iter().find(|(_, room)| quiet(room)).map(|(serial, room)| (*serial, *room));
        let Some((serial, room)) = oldest else { return false };
        self.by_serial.remove(&serial);
        self.by_room.remove(&room);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::ManualClock;

    const ROOM: ShortRoomId = ShortRoomId(1);
    const OTHER: ShortRoomId = ShortRoomId(2);
    const ALICE: ShortUserId = ShortUserId(1);
    const BOB: ShortUserId = ShortUserId(2);

    fn typing() -> (Typing, ManualClock, Arc<Mutex<Vec<ShortRoomId>>>) {
        let (clock, time) = Clock::manual(5_000_000);
        let typing = Typing::new(clock);
        let told = Arc::new(Mutex::new(Vec::new()));
        let log = told.clone();
        typing.on_change(move |room| log.lock().unwrap().push(room));
        (typing, time, told)
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_change_is_told_once_and_found_by_its_serial() {
        let (typing, _time, told) = typing();
        let start = typing.serial();
        typing.start(ROOM, ALICE, seconds(30));
        typing.start(ROOM, ALICE, seconds(30));
        assert_eq!(*told.lock().unwrap(), [ROOM]);
        assert_eq!(typing.typing_since(ROOM, start), Some(vec![ALICE]));
        assert_eq!(typing.typing_since(ROOM, typing.serial()), None);
        let middle = typing.serial();
        typing.start(OTHER, BOB, seconds(30));
        assert_eq!(typing.rooms_since(start), [ROOM, OTHER]);
        assert_eq!(typing.rooms_since(middle), [OTHER]);
        typing.stop(ROOM, ALICE);
        typing.stop(ROOM, ALICE);
        assert_eq!(typing.typing_since(ROOM, middle), Some(vec![]));
        assert_eq!(*told.lock().unwrap(), [ROOM, OTHER, ROOM]);
    }

    #[test]
    fn typing_ends_when_its_time_is_over() {
        let (typing, time, told) = typing();
        typing.start(ROOM, ALICE, seconds(10));
        typing.start(ROOM, BOB, seconds(30));
        time.advance_ms(9_999);
        typing.expire_due();
        assert_eq!(typing.typists(ROOM), [ALICE, BOB]);
        typing.start(ROOM, ALICE, seconds(10));
        time.advance_ms(1);
        typing.expire_due();
        assert_eq!(typing.typists(ROOM), [ALICE, BOB], "typing on moves the end");
        time.advance_ms(20_000);
        typing.expire_due();
        assert_eq!(typing.typists(ROOM), [0; 0].map(ShortUserId));
        assert_eq!(told.lock().unwrap().len(), 3);
    }

    #[test]
    fn times_are_kept_within_bounds() {
        let (typing, time, _told) = typing();
        typing.start(ROOM, ALICE, Duration::MAX);
        typing.start(ROOM, BOB, Duration::ZERO);
        typing.expire_due();
        assert_eq!(typing.typists(ROOM), [ALICE, BOB]);
        time.advance_ms(limits::TYPING_MS_MIN);
        typing.expire_due();
        assert_eq!(typing.typists(ROOM), [ALICE]);
        time.advance_ms(limits::TYPING_MS_MAX);
        typing.expire_due();
        assert!(typing.typists(ROOM).is_empty());
    }

    #[test]
    fn memory_is_bounded() {
        let (typing, ..) = typing();
        for number in 0..2 * limits::TYPISTS_PER_ROOM_MAX as u64 {
            typing.start(ROOM, ShortUserId(number), seconds(30));
        }
        assert_eq!(typing.typists(ROOM).len(), limits::TYPISTS_PER_ROOM_MAX);
        for number in 0..2 * limits::TYPING_ROOMS_MAX as u64 {
            let room = ShortRoomId(10 + number);
            typing.start(room, ALICE, seconds(30));
            typing.stop(room, ALICE);
        }
        assert!(typing.rooms().by_room.len() <= limits::TYPING_ROOMS_MAX);
        assert!(typing.rooms().by_serial.len() <= limits::TYPING_ROOMS_MAX);
        assert_eq!(typing.typists(ROOM).len(), limits::TYPISTS_PER_ROOM_MAX, "who types is not forgotten");
    }

    #[tokio::test]
    async fn the_expiry_task_wakes_for_an_earlier_end() {
        let (typing, time, _told) = typing();
        let (tell, mut changed) = tokio::sync::mpsc::unbounded_channel();
        typing.on_change(move |room| tell.send(room).unwrap());
        let task = tokio::spawn(typing.clone().expire());
        typing.start(ROOM, ALICE, seconds(100));
        assert_eq!(changed.recv().await, Some(ROOM));
        tokio::task::yield_now().await;
        // The task sleeps for Alice's 100 s now; Bob's end is 1 s away.
        typing.start(OTHER, BOB, Duration::ZERO);
        time.advance_ms(limits::TYPING_MS_MIN);
        assert_eq!(changed.recv().await, Some(OTHER));
        assert_eq!(changed.recv().await, Some(OTHER), "Bob's time is over");
        assert_eq!(typing.typists(ROOM), [ALICE]);
        assert!(typing.typists(OTHER).is_empty());
        task.abort();
    }
}
