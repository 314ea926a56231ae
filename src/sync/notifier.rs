//! Waking clients that wait for news.
//!
//! A waiting request holds one [`Registration`]; a change wakes just those whom it may concern: a room's
//! change the waiting users who are joined to it, a user's change that user's devices, a device's messages that
//! device, a change of a user's device list those who share a room with the user. Nothing is polled,
//! and no list of anybody's rooms is kept: who is joined is looked up when a room changes, on the notifier's
//! own thread, by walking whichever is shorter, the waiting users or the room's local members. So an idle
//! wait costs its registration, a few hundred bytes, and a change costs those it wakes.
//!
//! A registration is made before the caller reads; a change after that leaves a mark which ends the next
//! wait at once, so that no change falls between reading and waiting. Being woken promises nothing but that
//! looking again is worthwhile.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    thread::JoinHandle,
};

use ruma::{DeviceId, OwnedDeviceId};
use tokio::sync::Notify;

use super::limits;
use crate::storage::{
    Change, ChangeScope, DeviceTag, Direction, Read, ShortRoomId, ShortUserId, Storage, StorageError,
    records::Membership,
    tables::{LOCAL_MEMBERS, MEMBERSHIPS},
};

/// Wakes waiting requests. Cheap to clone; the thread ends with the last clone.
#[derive(Clone)]
pub struct Notifier {
    shared: Arc<Shared>,
    /// Ends the thread when the last handle goes.
    _thread: Arc<NotifierThread>,
}

impl std::fmt::Debug for Notifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notifier").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}

struct Shared {
    storage: Storage,
    waiters: Mutex<Waiters>,
    pending: Mutex<Pending>,
    work: Condvar,
}

/// The waiting requests of each user.
#[derive(Default)]
struct Waiters {
    of_users: HashMap<ShortUserId, Vec<Waiter>>,
    next_id: u64,
    stopped: bool,
}

struct Waiter {
    id: u64,
    device: OwnedDeviceId,
    signal: Arc<Signal>,
}

#[derive(Debug, Default)]
struct Signal {
    notify: Notify,
    ended: std::sync::atomic::AtomicBool,
}

/// Changes that the thread has not looked at.
#[derive(Default)]
struct Pending {
    rooms: HashSet<ShortRoomId>,
    users: HashSet<ShortUserId>,
    devices: HashSet<(ShortUserId, DeviceTag)>,
    /// Users whose device lists changed.
    device_lists: HashSet<ShortUserId>,
    everyone: bool,
    busy: bool,
    ending: bool,
}

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// Something may have changed: look again.
    News,
    /// The server is stopping, or the device has opened more waits than it may: answer now.
    Ended,
}

impl Notifier {
    /// Starts the thread and listens to what `storage` makes durable.
    pub fn start(storage: Storage) -> Result<Self, StorageError> {
        let shared = Arc::new(Shared {
            storage: storage.clone(),
            waiters: Mutex::default(),
            pending: Mutex::default(),
            work: Condvar::new(),
        });
        // The store must not keep its own listener, and with it itself, alive.
        let listening: Weak<Shared> = Arc::downgrade(&shared);
        storage.on_durable(move |changes| {
            if let Some(shared) = listening.upgrade() {
                shared.take(changes);
            }
        });
        let worker = shared.clone();
        let thread = std::thread::Builder::new()
            .name("sync-notifier".to_owned())
            .spawn(move || worker.run())
            .map_err(|e| StorageError::NotDurable(format!("the notifier's thread did not start: {e}")))?;
        let thread = Arc::new(NotifierThread { shared: shared.clone(), thread: Some(thread) });
        Ok(Self { shared, _thread: thread })
    }

    /// Registers a request that is about to look for news and may then wait. Of a device's registrations
    /// only the newest [`limits::WAITERS_PER_DEVICE_MAX`] stay; the oldest one's wait ends.
    pub fn register(&self, user: ShortUserId, device: &DeviceId) -> Registration {
        let signal = Arc::new(Signal::default());
        let mut waiters = self.shared.waiters();
        waiters.next_id += 1;
        let id = waiters.next_id;
        if waiters.stopped {
            signal.end();
        }
        let of_user = waiters.of_users.entry(user).or_default();
        let of_device = of_user.iter().filter(|waiter| waiter.device == device);
        if of_device.count() >= limits::WAITERS_PER_DEVICE_MAX
            && let Some(oldest) = of_user.iter().position(|waiter| waiter.device == device)
        {
            of_user.remove(oldest).signal.end();
        }
        of_user.push(Waiter { id, device: device.to_owned(), signal: signal.clone() });
        drop(waiters);
        Registration { shared: self.shared.clone(), user, id, signal }
    }

    /// Says that something about a room changed that is not in the store, such as who is typing. Quick, and
    /// never blocks on the store.
    pub fn room_changed(&self, room: ShortRoomId) {
        self.shared.pending().add_room(room);
        self.shared.work.notify_all();
    }

    /// Says that a user's presence changed: who shares a room with the user is woken.
    pub fn presence_changed(&self, user: ShortUserId) {
        self.shared.pending().add_device_list(user);
        self.shared.work.notify_all();
    }

    /// Wakes a user's devices at once, for news that are not in the store.
    pub fn wake_user(&self, user: ShortUserId) {
        self.shared.waiters().wake(user);
    }

    /// How many requests wait.
    pub fn waiting(&self) -> usize {
        self.shared.waiters().of_users.values().map(Vec::len).sum()
    }

    /// Ends all waits, and those that are to come: the server is stopping.
    pub fn stop(&self) {
        let mut waiters = self.shared.waiters();
        waiters.stopped = true;
        waiters.of_users.values().flatten().for_each(|waiter| waiter.signal.end());
    }
}

/// A request's place among those that wait; dropping it gives the place up.
pub struct Registration {
    shared: Arc<Shared>,
    user: ShortUserId,
    id: u64,
    signal: Arc<Signal>,
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registration").field("user", &self.user).field("id", &self.id).finish_non_exhaustive()
    }
}

impl Registration {
    /// Waits until something has changed since the registration, or since this returned last.
    pub async fn woken(&self) -> Woken {
        if !self.signal.has_ended() {
            self.signal.notify.notified().await;
        }
        if self.signal.has_ended() { Woken::Ended } else { Woken::News }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut waiters = self.shared.waiters();
        if let Some(of_user) = waiters.of_users.get_mut(&self.user) {
            of_user.retain(|waiter| waiter.id != self.id);
            if of_user.is_empty() {
                waiters.of_users.remove(&self.user);
            }
        }
    }
}

impl Signal {
    fn end(&self) {
        self.ended.store(true, std::sync::atomic::Ordering::Release);
        self.notify.notify_one();
    }

    fn has_ended(&self) -> bool {
        self.ended.load(std::sync::atomic::Ordering::Acquire)
    }
}

impl Pending {
    fn add_room(&mut self, room: ShortRoomId) {
        if self.rooms.len() < limits::PENDING_CHANGES_MAX {
            self.rooms.insert(room);
        } else {
            self.everyone = true;
        }
    }

    fn add_user(&mut self, user: ShortUserId) {
        if self.users.len() < limits::PENDING_CHANGES_MAX {
            self.users.insert(user);
        } else {
            self.everyone = true;
        }
    }

    fn add_device(&mut self, device: (ShortUserId, DeviceTag)) {
        if self.devices.len() < limits::PENDING_CHANGES_MAX {
            self.devices.insert(device);
        } else {
            self.everyone = true;
        }
    }

    fn add_device_list(&mut self, user: ShortUserId) {
        if self.device_lists.len() < limits::PENDING_CHANGES_MAX {
            self.device_lists.insert(user);
        } else {
            self.everyone = true;
        }
    }

    fn is_empty(&self) -> bool {
        self.rooms.is_empty()
            && self.users.is_empty()
            && self.devices.is_empty()
            && self.device_lists.is_empty()
            && !self.everyone
    }
}

impl Shared {
    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over changes; runs on the committing thread.
    fn take(&self, changes: &[Change]) {
        let mut pending = self.pending();
        for change in changes {
            match change.scope {
                ChangeScope::Room(room) => pending.add_room(room),
                ChangeScope::User(user) => pending.add_user(user),
                ChangeScope::Device(user, device) => pending.add_device((user, device)),
                ChangeScope::DeviceListOf(user) => pending.add_device_list(user),
                ChangeScope::Outbox
                | ChangeScope::OutgoingEdu(_)
                | ChangeScope::OwnReceipt(_)
                | ChangeScope::StaleProfile(_) => {}
            }
        }
        drop(pending);
        self.work.notify_all();
    }

    fn run(&self) {
        loop {
            let mut pending = self.pending();
            pending.busy = false;
            if pending.is_empty() {
                self.work.notify_all();
            }
            while pending.is_empty() && !pending.ending {
                pending = self.work.wait(pending).unwrap_or_else(PoisonError::into_inner);
            }
            if pending.ending {
                return;
            }
            let changes = std::mem::take(&mut *pending);
            pending.busy = true;
            drop(pending);
            self.wake(&changes);
        }
    }

    fn wake(&self, changes: &Pending) {
        if changes.everyone {
            self.waiters().wake_all();
            return;
        }
        let mut concerned = changes.users.clone();
        if let Err(e) = self.add_concerned(changes, &mut concerned) {
            // Waking too many only makes them look in vain.
            tracing::error!("waiting members of a room could not be looked up: {e}");
            self.waiters().wake_all();
            return;
        }
        let waiters = self.waiters();
        for &(user, device) in &changes.devices {
            waiters.wake_device(user, device);
        }
        for user in concerned {
            waiters.wake(user);
        }
    }

    /// Adds the waiting users who see a room that changed, or share one with a user whose device list did.
    fn add_concerned(
        &self,
        changes: &Pending,
        concerned: &mut HashSet<ShortUserId>,
    ) -> Result<(), StorageError> {
        let mut rooms = changes.rooms.clone();
        for &user in &changes.device_lists {
            if self.waiters().of_users.is_empty() {
                return Ok(());
            }
            concerned.insert(user);
            let range = MEMBERSHIPS.prefix(&(user,));
            for row in self.storage.scan(&MEMBERSHIPS, &range, Direction::Forward) {
                let ((_, room), row) = row?;
                if matches!(row.membership, Membership::Join | Membership::Invite) {
                    rooms.insert(room);
                }
            }
        }
        for room in rooms {
            self.add_waiting_members(room, concerned)?;
        }
        Ok(())
    }

    /// Adds the waiting users who are joined to the room. Costs the smaller of their number and the number
    /// of the room's local members.
    fn add_waiting_members(
        &self,
        room: ShortRoomId,
        concerned: &mut HashSet<ShortUserId>,
    ) -> Result<(), StorageError> {
        let waiting = self.waiters().of_users.len();
        if waiting == 0 {
            return Ok(());
        }
        let range = LOCAL_MEMBERS.prefix(&(room,));
        let mut members = self.storage.scan(&LOCAL_MEMBERS, &range, Direction::Forward);
        for _ in 0..waiting {
            match members.next().transpose()? {
                Some(((_, user), ())) => concerned.insert(user),
                None => return Ok(()),
            };
        }
        drop(members);
        let users: Vec<ShortUserId> = self.waiters().of_users.keys().copied().collect();
        let keys: Vec<_> = users.iter().map(|user| (*user, room)).collect();
        let rows = self.storage.get_many(&MEMBERSHIPS, &keys)?;
        let joined = users.into_iter().zip(rows).filter_map(|(user, row)| {
            row.is_some_and(|row| row.membership == Membership::Join).then_some(user)
        });
        concerned.extend(joined);
        Ok(())
    }
}

impl Waiters {
    fn wake(&self, user: ShortUserId) {
        for waiter in self.of_users.get(&user).into_iter().flatten() {
            waiter.signal.notify.notify_one();
        }
    }

    fn wake_device(&self, user: ShortUserId, device: DeviceTag) {
        let of_user = self.of_users.get(&user).into_iter().flatten();
        for waiter in of_user.filter(|waiter| DeviceTag::of(&waiter.device) == device) {
            waiter.signal.notify.notify_one();
        }
    }

    fn wake_all(&self) {
        self.of_users.values().flatten().for_each(|waiter| waiter.signal.notify.notify_one());
    }
}

/// Ends the thread when dropped.
struct NotifierThread {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for NotifierThread {
    fn drop(&mut self) {
        self.shared.pending().ending = true;
        self.shared.work.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by the panic itself.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
#[path = "notifier_tests.rs"]
mod tests;
