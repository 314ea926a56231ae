//! Who is there ([presence]): in memory, gone with a restart.
//!
//! What is shown of a user of this server is the liveliest of what the user's devices show. A device shows what it
//! asked for while it syncs and for [`limits::PRESENCE_LINGER_MS`] after, and is idle once it has been online for
//! [`limits::PRESENCE_IDLE_MS`] without doing anything. What other servers tell holds for
//! [`limits::PRESENCE_REMOTE_MS`]; so they are told of our users again before that ([`Change::is_repeat`]).
//!
//! Each change takes the next serial, which sync tokens carry; serials start from the time of day in milliseconds, so
//! that tokens of an earlier run are smaller. Nothing polls: [`Presence::expire`] sleeps until the earliest deadline.
//! Switched off, nothing is kept and nothing runs. Who may see whose presence is not decided here. Main type:
//! [`Presence`].
//!
//! [presence]: https://spec.matrix.org/v1.19/client-server-api/#presence

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use ruma::{DeviceId, OwnedUserId, presence::PresenceState};
use tokio::sync::Notify;

use super::{Clock, limits};
use crate::storage::{DeviceTag, ShortUserId};

type Listener = Box<dyn Fn(&Change) + Send + Sync>;

/// What is shown of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserPresence {
    /// The user.
    pub user_id: OwnedUserId,
    /// Online, unavailable or offline.
    pub state: PresenceState,
    /// What the user says.
    pub status_msg: Option<String>,
    /// When the user last did something, in milliseconds since 1970; zero if never seen.
    pub last_active_ms: u64,
    /// Whether the user is active just now, so that no more is told of how long ago that was.
    pub is_currently_active: bool,
}

impl UserPresence {
    /// What a change is told for: all but the time.
    fn is_shown_as(&self, other: &Self) -> bool {
        self.state == other.state
            && self.status_msg == other.status_msg
            && self.is_currently_active == other.is_currently_active
    }
}

/// A change of a user's presence.
#[derive(Debug, Clone)]
pub struct Change {
    /// The user's short id.
    pub user: ShortUserId,
    /// What is shown now.
    pub shown: UserPresence,
    /// Whether it is a user of this server, of whom others are to be told.
    pub is_own: bool,
    /// Nothing has changed, but other servers would soon take the user for gone.
    pub is_repeat: bool,
}

/// Who asks for something to be shown: a device of a user of this server.
#[derive(Debug, Clone)]
pub struct Asker<'a> {
    /// The user's short id.
    pub user: ShortUserId,
    /// The user.
    pub user_id: &'a OwnedUserId,
    /// The device.
    pub device: &'a DeviceId,
}

/// Knows who is there. Cheap to clone.
#[derive(Clone)]
pub struct Presence {
    /// `None` when it is switched off.
    inner: Option<Arc<Inner>>,
}

struct Inner {
    table: Mutex<Table>,
    listeners: RwLock<Vec<Listener>>,
    /// Woken when a deadline earlier than all others has been set.
    earlier: Notify,
    clock: Clock,
}

impl std::fmt::Debug for Presence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Presence").field("is_on", &self.is_on()).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Table {
    serial: u64,
    users: HashMap<ShortUserId, Entry>,
    /// Each user's newest change.
    by_serial: BTreeMap<u64, ShortUserId>,
    /// When, in milliseconds since 1970, each has to be looked at again.
    deadlines: BTreeSet<(u64, ShortUserId)>,
}

struct Entry {
    serial: u64,
    shown: UserPresence,
    source: Source,
    deadline_ms: Option<u64>,
}

/// Where what is shown comes from.
enum Source {
    /// A user of this server.
    Own {
        devices: Vec<DevicePresence>,
        /// When other servers were told.
        told_ms: u64,
    },
    /// Another server, which is believed until then.
    Other { until_ms: u64 },
}

/// What one device shows.
struct DevicePresence {
    device: DeviceTag,
    state: PresenceState,
    /// Syncs that are under way.
    syncs: usize,
    /// When it asked last, or its last sync ended.
    seen_ms: u64,
    /// When it did something.
    active_ms: u64,
}

/// A sync under way: the device is there until it is dropped, and a little longer.
#[derive(Debug)]
#[must_use]
pub struct Syncing {
    presence: Presence,
    user: ShortUserId,
    device: DeviceTag,
}

impl Presence {
    /// Nobody is there yet.
    pub fn new(clock: Clock) -> Self {
        let table = Table { serial: clock.now_ms(), ..Table::default() };
        let inner =
            Inner { table: Mutex::new(table), listeners: RwLock::default(), earlier: Notify::new(), clock };
        Self { inner: Some(Arc::new(inner)) }
    }

    /// Keeps nothing and tells nothing.
    pub const fn off() -> Self {
        Self { inner: None }
    }

    /// Whether it is switched on.
    pub const fn is_on(&self) -> bool {
        self.inner.is_some()
    }

    /// Calls `listener` with each change, in their order, from the thread that made it: it must be quick, never block
    /// and not call this service.
    pub fn on_change(&self, listener: impl Fn(&Change) + Send + Sync + 'static) {
        if let Some(inner) = &self.inner {
            inner.listeners.write().unwrap_or_else(PoisonError::into_inner).push(Box::new(listener));
        }
    }

    /// The newest change's serial: what a sync token carries. Zero when it is switched off.
    pub fn serial(&self) -> u64 {
        self.inner.as_ref().map_or(0, |inner| inner.table().serial)
    }

    /// A device says what to show; a message that is left out is removed.
    pub fn set(&self, asker: &Asker<'_>, state: PresenceState, status_msg: Option<String>) {
        let Some(inner) = &self.inner else { return };
        inner.change_own(asker, |shown, device, now_ms| {
            shown.status_msg = status_msg;
            device.show(state, now_ms);
        });
    }

    /// A device begins to sync and wants `state` to be shown; other states than online and unavailable change nothing.
    pub fn sync(&self, asker: &Asker<'_>, state: PresenceState) -> Option<Syncing> {
        let inner = self.inner.as_ref()?;
        if !matches!(state, PresenceState::Online | PresenceState::Unavailable) {
            return None;
        }
        inner.change_own(asker, |_, device, now_ms| {
            device.show(state, now_ms);
            device.syncs += 1;
        });
        Some(Syncing { presence: self.clone(), user: asker.user, device: DeviceTag::of(asker.device) })
    }

    /// A device did something: if it was idle, it is online. Of a device that shows nothing, nothing is shown.
    pub fn acted(&self, user: ShortUserId, device: &DeviceId) {
        self.update_device(user, DeviceTag::of(device), |device, now_ms| {
            if device.state != PresenceState::Offline {
                device.show(PresenceState::Online, now_ms);
            }
        });
    }

    fn update_device(&self, user: ShortUserId, tag: DeviceTag, work: impl FnOnce(&mut DevicePresence, u64)) {
        let Some(inner) = &self.inner else { return };
        let now_ms = inner.clock.now_ms();
        let mut table = inner.table();
        let Some(entry) = table.users.get_mut(&user) else { return };
        let before = entry.shown.clone();
        let Source::Own { devices, .. } = &mut entry.source else { return };
        let Some(device) = devices.iter_mut().find(|device| device.device == tag) else { return };
        work(device, now_ms);
        inner.settle(&mut table, user, &before, now_ms);
    }

    /// Another server tells of its user.
    pub fn received(&self, user: ShortUserId, shown: UserPresence) {
        let Some(inner) = &self.inner else { return };
        let now_ms = inner.clock.now_ms();
        let until_ms = now_ms.saturating_add(limits::PRESENCE_REMOTE_MS);
        let mut table = inner.table();
        let entry = table.entry(user, &shown.user_id, Source::Other { until_ms });
        let before = std::mem::replace(&mut entry.shown, shown);
        entry.source = Source::Other { until_ms };
        inner.settle(&mut table, user, &before, now_ms);
    }

    /// What is shown of a user; `None` if nothing is known.
    pub fn of(&self, user: ShortUserId) -> Option<UserPresence> {
        self.inner.as_ref()?.table().users.get(&user).map(|entry| entry.shown.clone())
    }

    /// How long ago a user did something, in milliseconds; `None` if never seen.
    pub fn last_active_ago_ms(&self, shown: &UserPresence) -> Option<u64> {
        let now_ms = self.inner.as_ref().filter(|_| shown.last_active_ms > 0)?.clock.now_ms();
        Some(now_ms.saturating_sub(shown.last_active_ms))
    }

    /// The users whose newest change is after `since` and not after `until`, newest change first; at most
    /// [`limits::PRESENCE_SHOWN_MAX`].
    pub fn changed_between(&self, since: u64, until: u64) -> Vec<(ShortUserId, UserPresence)> {
        let Some(inner) = self.inner.as_ref().filter(|_| since < until) else { return Vec::new() };
        let table = inner.table();
        let changed = table.by_serial.range((Bound::Excluded(since), Bound::Included(until)));
        let entries = changed
            .rev()
            .take(limits::PRESENCE_SHOWN_MAX)
            .filter_map(|(_, user)| table.users.get(user).map(|entry| (*user, entry.shown.clone())));
        entries.collect()
    }

    /// Takes those offline, or for idle, whose time is over. Runs until dropped; the server spawns it once.
    pub async fn expire(self) {
        let Some(inner) = self.inner else { return };
        loop {
            let earliest = inner.table().deadlines.first().map(|(deadline_ms, _)| *deadline_ms);
            match earliest.map(|deadline_ms| deadline_ms.saturating_sub(inner.clock.now_ms())) {
                None => inner.earlier.notified().await,
                Some(0) => {}
                Some(left_ms) => {
                    // A clock that was set back must not stretch the sleep.
                    let left = Duration::from_millis(left_ms.min(limits::PRESENCE_REMOTE_MS));
                    tokio::select! {
                        () = tokio::time::sleep(left) => {}
                        () = inner.earlier.notified() => {}
                    }
                }
            }
            inner.expire_due();
        }
    }
}

impl Drop for Syncing {
    fn drop(&mut self) {
        self.presence.update_device(self.user, self.device, |device, now_ms| {
            device.syncs = device.syncs.saturating_sub(1);
            device.seen_ms = now_ms;
        });
    }
}

impl Inner {
    fn table(&self) -> MutexGuard<'_, Table> {
        // Each change is complete before anything else is called.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what a device of this server's user shows.
    fn change_own(&self, asker: &Asker<'_>, work: impl FnOnce(&mut UserPresence, &mut DevicePresence, u64)) {
        let now_ms = self.clock.now_ms();
        let mut table = self.table();
        let nothing = Source::Own { devices: Vec::new(), told_ms: now_ms };
        let entry = table.entry(asker.user, asker.user_id, nothing);
        let before = entry.shown.clone();
        let Source::Own { devices, .. } = &mut entry.source else { return };
        work(&mut entry.shown, device_of(devices, DeviceTag::of(asker.device), now_ms), now_ms);
        self.settle(&mut table, asker.user, &before, now_ms);
    }

    /// Works out what is shown of a user and until when, and tells if it is not what it was `before`.
    fn settle(&self, table: &mut Table, user: ShortUserId, before: &UserPresence, now_ms: u64) {
        let Some(entry) = table.users.get_mut(&user) else { return };
        let deadline_ms = entry.settle(now_ms);
        let has_changed = !entry.shown.is_shown_as(before);
        let is_repeat = !has_changed && entry.must_repeat(now_ms);
        let is_own = matches!(entry.source, Source::Own { .. });
        let deadline_ms = if let Source::Own { told_ms, .. } = &mut entry.source
            && (has_changed || is_repeat)
        {
            *told_ms = now_ms;
            entry.settle(now_ms)
        } else {
            deadline_ms
        };
        let change = (has_changed || is_repeat).then(|| Change {
            user,
            shown: entry.shown.clone(),
            is_own,
            is_repeat,
        });
        if table.set_deadline(user, deadline_ms) {
            self.earlier.notify_one();
        }
        if has_changed {
            table.moved(user);
        }
        if let Some(change) = change {
            let listeners = self.listeners.read().unwrap_or_else(PoisonError::into_inner);
            listeners.iter().for_each(|listener| listener(&change));
        }
    }

    fn expire_due(&self) {
        let now_ms = self.clock.now_ms();
        let mut table = self.table();
        while let Some((deadline_ms, user)) = table.deadlines.first().copied() {
            if deadline_ms > now_ms {
                break;
            }
            table.deadlines.remove(&(deadline_ms, user));
            if let Some(before) = table.users.get(&user).map(|entry| entry.shown.clone()) {
                self.settle(&mut table, user, &before, now_ms);
            }
        }
    }
}

/// The device's entry, made if it is missing. Of too many, the one that was seen first gives way.
fn device_of(devices: &mut Vec<DevicePresence>, tag: DeviceTag, now_ms: u64) -> &mut DevicePresence {
    let at = devices.iter().position(|device| device.device == tag).unwrap_or_else(|| {
        if devices.len() >= limits::PRESENCE_DEVICES_MAX {
            let oldest =
                devices.iter().enumerate().min_by_key(|(_, device)| (device.syncs > 0, device.seen_ms));
            if let Some((oldest, _)) = oldest {
                devices.remove(oldest);
            }
        }
        let state = PresenceState::Offline;
        devices.push(DevicePresence { device: tag, state, syncs: 0, seen_ms: now_ms, active_ms: 0 });
        devices.len() - 1
    });
    &mut devices[at]
}

impl DevicePresence {
    fn show(&mut self, state: PresenceState, now_ms: u64) {
        if state == PresenceState::Online {
            self.active_ms = now_ms;
        }
        self.state = state;
        self.seen_ms = now_ms;
    }

    fn gone_at_ms(&self) -> Option<u64> {
        (self.syncs == 0).then(|| self.seen_ms.saturating_add(limits::PRESENCE_LINGER_MS))
    }

    fn idle_at_ms(&self) -> Option<u64> {
        let is_online = self.state == PresenceState::Online;
        is_online.then(|| self.active_ms.saturating_add(limits::PRESENCE_IDLE_MS))
    }

    fn state_at(&self, now_ms: u64) -> PresenceState {
        match self.idle_at_ms() {
            Some(idle_ms) if idle_ms <= now_ms => PresenceState::Unavailable,
            _ => self.state.clone(),
        }
    }
}

/// How lively a state is: of several devices' the liveliest is shown.
fn liveliness(state: &PresenceState) -> u8 {
    match state {
        PresenceState::Online => 2,
        PresenceState::Offline => 0,
        _ => 1,
    }
}

impl Entry {
    /// Sets what is shown at a time; answers when that is to be looked at again, which is later.
    fn settle(&mut self, now_ms: u64) -> Option<u64> {
        let shown = &mut self.shown;
        match &mut self.source {
            Source::Own { devices, told_ms } => {
                devices.retain(|device| device.gone_at_ms().is_none_or(|gone_ms| gone_ms > now_ms));
                let states = devices.iter().map(|device| device.state_at(now_ms));
                shown.state = states.max_by_key(liveliness).unwrap_or(PresenceState::Offline);
                let active = devices.iter().map(|device| device.active_ms).max().unwrap_or_default();
                shown.last_active_ms = shown.last_active_ms.max(active);
                shown.is_currently_active = shown.state == PresenceState::Online;
                let is_there = shown.state != PresenceState::Offline;
                let repeat = is_there.then(|| told_ms.saturating_add(limits::PRESENCE_REPEAT_MS));
                let of_devices =
                    devices.iter().flat_map(|device| [device.gone_at_ms(), device.idle_at_ms()]).flatten();
                of_devices.chain(repeat).filter(|deadline_ms| *deadline_ms > now_ms).min()
            }
            Source::Other { until_ms } => {
                if *until_ms <= now_ms {
                    shown.state = PresenceState::Offline;
                    shown.is_currently_active = false;
                }
                (shown.state != PresenceState::Offline).then_some(*until_ms)
            }
        }
    }

    fn must_repeat(&self, now_ms: u64) -> bool {
        match &self.source {
            Source::Own { told_ms, .. } => {
                self.shown.state != PresenceState::Offline
                    && told_ms.saturating_add(limits::PRESENCE_REPEAT_MS) <= now_ms
            }
            Source::Other { .. } => false,
        }
    }
}

impl Table {
    /// The user's entry, made if it is missing. Of too many, the one that has not changed for longest gives way.
    fn entry(&mut self, user: ShortUserId, user_id: &OwnedUserId, source: Source) -> &mut Entry {
        let is_new = !self.users.contains_key(&user);
        if is_new
            && self.users.len() >= limits::PRESENCE_USERS_MAX
            && let Some((_, oldest)) = self.by_serial.pop_first()
        {
            self.set_deadline(oldest, None);
            self.users.remove(&oldest);
        }
        if is_new {
            self.serial += 1;
            self.by_serial.insert(self.serial, user);
        }
        let serial = self.serial;
        self.users.entry(user).or_insert_with(|| Entry {
            serial,
            shown: UserPresence {
                user_id: user_id.clone(),
                state: PresenceState::Offline,
                status_msg: None,
                last_active_ms: 0,
                is_currently_active: false,
            },
            source,
            deadline_ms: None,
        })
    }

    /// Sets when the user is to be looked at again; true if that is before all others.
    fn set_deadline(&mut self, user: ShortUserId, deadline_ms: Option<u64>) -> bool {
        let Some(entry) = self.users.get_mut(&user) else { return false };
        if let Some(before) = entry.deadline_ms.take() {
            self.deadlines.remove(&(before, user));
        }
        entry.deadline_ms = deadline_ms;
        let Some(deadline_ms) = deadline_ms else { return false };
        self.deadlines.insert((deadline_ms, user));
        self.deadlines.first() == Some(&(deadline_ms, user))
    }

    /// Gives the user's change the next serial.
    fn moved(&mut self, user: ShortUserId) {
        self.serial += 1;
        if let Some(entry) = self.users.get_mut(&user) {
            self.by_serial.remove(&entry.serial);
            entry.serial = self.serial;
            self.by_serial.insert(self.serial, user);
        }
    }
}

#[cfg(test)]
#[path = "presence_tests.rs"]
mod tests;
