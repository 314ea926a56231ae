use ruma::{device_id, owned_user_id};

use super::*;
use crate::users::ManualClock;

const ALICE: ShortUserId = ShortUserId(1);

struct Scene {
    presence: Presence,
    time: ManualClock,
    told: Arc<Mutex<Vec<Change>>>,
    user_id: OwnedUserId,
}

impl Scene {
    fn new() -> Self {
        let (clock, time) = Clock::manual(5_000_000);
        let presence = Presence::new(clock);
        let told = Arc::new(Mutex::new(Vec::new()));
        let log = told.clone();
        presence.on_change(move |change| log.lock().unwrap().push(change.clone()));
        Self { presence, time, told, user_id: owned_user_id!("@alice:example.org") }
    }

    fn asker<'a>(&'a self, device: &'a str) -> Asker<'a> {
        Asker { user: ALICE, user_id: &self.user_id, device: device.into() }
    }

    fn sync(&self, device: &str, state: PresenceState) -> Option<Syncing> {
        self.presence.sync(&self.asker(device), state)
    }

    fn pass(&self, time_ms: u64) {
        self.time.advance_ms(time_ms);
        self.presence.inner.as_ref().unwrap().expire_due();
    }

    fn state(&self) -> PresenceState {
        self.presence.of(ALICE).unwrap().state
    }

    fn told(&self) -> Vec<(PresenceState, bool)> {
        let told = self.told.lock().unwrap();
        told.iter().map(|change| (change.shown.state.clone(), change.is_repeat)).collect()
    }
}

#[test]
fn who_syncs_is_there_and_a_little_longer() {
    let scene = Scene::new();
    let start = scene.presence.serial();
    let first = scene.sync("A", PresenceState::Online);
    let second = scene.sync("A", PresenceState::Online);
    scene.pass(limits::PRESENCE_LINGER_MS * 2);
    drop(first);
    scene.pass(limits::PRESENCE_LINGER_MS * 2);
    assert_eq!(scene.state(), PresenceState::Online, "one still syncs");
    drop(second);
    scene.pass(limits::PRESENCE_LINGER_MS - 1);
    assert_eq!(scene.state(), PresenceState::Online);
    scene.pass(1);
    assert_eq!(scene.told(), [(PresenceState::Online, false), (PresenceState::Offline, false)]);
    let now = scene.presence.serial();
    assert_eq!(scene.presence.changed_between(start, now).len(), 1, "each user once");
    assert!(scene.presence.changed_between(now, now).is_empty());
    scene.pass(limits::PRESENCE_REPEAT_MS * 3);
    assert_eq!(scene.told().len(), 2, "who is gone is not told of again");
}

#[test]
fn devices_that_disagree_do_not_make_the_state_flap() {
    let scene = Scene::new();
    let _desk = scene.sync("DESK", PresenceState::Unavailable);
    for _ in 0..5 {
        drop(scene.sync("PHONE", PresenceState::Online));
        drop(scene.sync("DESK", PresenceState::Unavailable));
    }
    assert_eq!(scene.told(), [(PresenceState::Unavailable, false), (PresenceState::Online, false)]);
    scene.pass(limits::PRESENCE_LINGER_MS);
    assert_eq!(scene.state(), PresenceState::Unavailable, "the phone is gone");
}

#[test]
fn who_does_nothing_is_idle_until_something_is_done() {
    let scene = Scene::new();
    let _syncing = scene.sync("A", PresenceState::Online);
    scene.pass(limits::PRESENCE_IDLE_MS - 1);
    assert_eq!(scene.state(), PresenceState::Online);
    scene.pass(1);
    let shown = scene.presence.of(ALICE).unwrap();
    assert!(shown.state == PresenceState::Unavailable && !shown.is_currently_active);
    assert_eq!(scene.presence.last_active_ago_ms(&shown), Some(limits::PRESENCE_IDLE_MS));
    scene.presence.acted(ALICE, device_id!("OTHER"));
    assert_eq!(scene.state(), PresenceState::Unavailable, "a device that shows nothing");
    scene.presence.acted(ALICE, device_id!("A"));
    assert_eq!(scene.state(), PresenceState::Online);
}

#[test]
fn a_message_is_a_change_and_offline_syncs_are_none() {
    let scene = Scene::new();
    assert!(scene.sync("A", PresenceState::Offline).is_none());
    scene.presence.set(&scene.asker("A"), PresenceState::Online, None);
    scene.presence.set(&scene.asker("A"), PresenceState::Online, None);
    scene.presence.set(&scene.asker("A"), PresenceState::Online, Some("here".to_owned()));
    assert_eq!(scene.told().len(), 2);
    scene.pass(limits::PRESENCE_LINGER_MS);
    let shown = scene.presence.of(ALICE).unwrap();
    assert_eq!((shown.state, shown.status_msg.as_deref()), (PresenceState::Offline, Some("here")));
}

#[test]
fn other_servers_are_told_again_in_time_and_believed_for_a_time() {
    let scene = Scene::new();
    let _syncing = scene.sync("A", PresenceState::Unavailable);
    let serial = scene.presence.serial();
    scene.pass(limits::PRESENCE_REPEAT_MS);
    scene.pass(limits::PRESENCE_REPEAT_MS);
    let repeat = (PresenceState::Unavailable, true);
    assert_eq!(scene.told(), [(PresenceState::Unavailable, false), repeat.clone(), repeat]);
    assert_eq!(scene.presence.serial(), serial, "nothing to tell clients");

    let bob = ShortUserId(2);
    let shown = UserPresence {
        user_id: owned_user_id!("@bob:other.example"),
        state: PresenceState::Online,
        status_msg: None,
        last_active_ms: 1,
        is_currently_active: true,
    };
    scene.presence.received(bob, shown.clone());
    scene.pass(limits::PRESENCE_REPEAT_MS);
    scene.presence.received(bob, shown);
    scene.pass(limits::PRESENCE_REPEAT_MS);
    assert_eq!(scene.presence.of(bob).unwrap().state, PresenceState::Online);
    scene.pass(limits::PRESENCE_REMOTE_MS - limits::PRESENCE_REPEAT_MS);
    assert_eq!(scene.presence.of(bob).unwrap().state, PresenceState::Offline);
}

#[test]
fn memory_is_bounded_and_off_keeps_nothing() {
    let scene = Scene::new();
    for (round, state) in [PresenceState::Offline, PresenceState::Online].into_iter().enumerate() {
        for number in 0..limits::PRESENCE_USERS_MAX as u64 + 9 {
            let shown = UserPresence {
                user_id: scene.user_id.clone(),
                state: state.clone(),
                status_msg: None,
                last_active_ms: 0,
                is_currently_active: false,
            };
            scene.presence.received(ShortUserId(number), shown);
        }
        let table = scene.presence.inner.as_ref().unwrap().table();
        let most = limits::PRESENCE_USERS_MAX;
        assert_eq!(
            [table.users.len(), table.by_serial.len(), table.deadlines.len()],
            [most, most, most * round]
        );
    }
    let waits: Vec<_> = (0..50).map(|it| scene.sync(&format!("D{it}"), PresenceState::Online)).collect();
    drop(waits);
    let off = Presence::off();
    off.set(&scene.asker("A"), PresenceState::Online, None);
    assert!(off.of(ALICE).is_none() && off.serial() == 0 && off.changed_between(0, 9).is_empty());
    assert!(off.sync(&scene.asker("A"), PresenceState::Online).is_none());
}
