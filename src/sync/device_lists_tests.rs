//! Device lists against a model of who shares rooms with whom and who changed keys.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use ruma::{OwnedRoomId, OwnedUserId};
use serde_json::json;

use super::{
    DeviceListChanges,
    testing::{SyncFixture, people},
};
use crate::{storage::StreamPosition, users::keys::device_list};

const USERS: usize = 4;
const ROOMS: usize = 3;

/// What happens in a history.
#[derive(Debug, Clone)]
enum Step {
    Join(usize, usize),
    Leave(usize, usize),
    Invite(usize, usize),
    Rename(usize, usize),
    ChangeKeys(usize),
    Say(usize),
    Sync(usize, prop::sample::Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..USERS, 0..ROOMS).prop_map(|(user, room)| Step::Join(user, room)),
        3 => (0..USERS, 0..ROOMS).prop_map(|(user, room)| Step::Leave(user, room)),
        1 => (0..USERS, 0..ROOMS).prop_map(|(user, room)| Step::Invite(user, room)),
        1 => (0..USERS, 0..ROOMS).prop_map(|(user, room)| Step::Rename(user, room)),
        3 => (0..USERS).prop_map(Step::ChangeKeys),
        1 => (0..ROOMS).prop_map(Step::Say),
        5 => (0..USERS, any::<prop::sample::Index>()).prop_map(|(user, token)| Step::Sync(user, token)),
    ];
    prop::collection::vec(step, 1..60)
}

/// What is so at one moment.
#[derive(Debug, Clone, Default)]
struct Moment {
    position: StreamPosition,
    members: BTreeMap<(usize, usize), &'static str>,
    versions: [u32; USERS],
    /// How often each user came to rooms, went from them or was invited.
    moves: [u32; USERS],
}

impl Moment {
    fn is(&self, user: usize, room: usize, membership: &str) -> bool {
        self.members.get(&(user, room)) == Some(&membership)
    }

    fn share(&self, viewer: usize, other: usize) -> bool {
        (0..ROOMS).any(|room| {
            let is_present = self.is(other, room, "join") || self.is(other, room, "invite");
            self.is(viewer, room, "join") && is_present
        })
    }
}

struct World {
    server: SyncFixture,
    users: Vec<OwnedUserId>,
    rooms: Vec<OwnedRoomId>,
    now: Moment,
    past: Vec<Moment>,
}

impl World {
    fn new() -> Self {
        let server = SyncFixture::new();
        let keeper = people()[0].clone();
        let users: Vec<_> =
            (0..USERS).map(|n| OwnedUserId::try_from(format!("@u{n}:example.org")).unwrap()).collect();
        for user in &users {
            server.short_user(user);
        }
        let rooms = (0..ROOMS).map(|_| server.rooms.public_room(&keeper)).collect();
        let mut world = Self { server, users, rooms, now: Moment::default(), past: Vec::new() };
        world.remember();
        world
    }

    fn remember(&mut self) {
        self.server.storage.durable_blocking().unwrap();
        self.now.position = self.server.storage.position();
        self.past.push(self.now.clone());
    }

    fn set(&mut self, sender: usize, user: usize, room: usize, membership: &'static str) {
        let (sender, target) = (&self.users[sender], &self.users[user]);
        self.server.rooms.set_membership(&self.rooms[room], sender, target, membership).unwrap();
        self.now.members.insert((user, room), membership);
        self.now.moves[user] += 1;
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Join(user, room) if !self.now.is(user, room, "join") => self.set(user, user, room, "join"),
            Step::Leave(user, room)
                if self.now.is(user, room, "join") || self.now.is(user, room, "invite") =>
            {
                self.set(user, user, room, "leave");
            }
            Step::Invite(user, room) if !self.now.is(user, room, "join") => {
                let keeper = people()[0].clone();
                let target = &self.users[user];
                self.server.rooms.set_membership(&self.rooms[room], &keeper, target, "invite").unwrap();
                self.now.members.insert((user, room), "invite");
                self.now.moves[user] += 1;
            }
            Step::Rename(user, room) if self.now.is(user, room, "join") => {
                let name = json!({"membership": "join", "displayname": format!("{}", self.past.len())});
                let (room, user) = (&self.rooms[room], &self.users[user]);
                self.server.rooms.set_state(room, user, "m.room.member", user.as_str(), name).unwrap();
            }
            Step::ChangeKeys(user) => {
                let short = self.server.short_user(&self.users[user]);
                self.server.storage.write(|tx| device_list::mark_changed(tx, short)).unwrap();
                self.now.versions[user] += 1;
            }
            Step::Say(room) => {
                self.server.rooms.say(&self.rooms[room], &people()[0], "hello");
            }
            Step::Sync(user, token) => {
                self.remember();
                let then = token.get(&self.past).clone();
                self.check(user, &then)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// What a client is told that was last told of `then`.
    fn check(&self, viewer: usize, then: &Moment) -> Result<(), TestCaseError> {
        let short = self.server.short_user(&self.users[viewer]);
        let lists = self.server.sync.device_lists();
        let DeviceListChanges { changed, left } =
            lists.changes(short, then.position, self.now.position).unwrap();
        let names = |set: &BTreeSet<OwnedUserId>| -> BTreeSet<usize> {
            (0..USERS).filter(|user| set.contains(&self.users[*user])).collect()
        };
        let (changed, left) = (names(&changed), names(&left));
        for user in (0..USERS).filter(|user| *user != viewer) {
            let (shared, share) = (then.share(viewer, user), self.now.share(viewer, user));
            let new_keys = then.versions[user] != self.now.versions[user];
            let moved =
                then.moves[user] != self.now.moves[user] || then.moves[viewer] != self.now.moves[viewer];
            // Who came into view, or changed while in view, is told.
            prop_assert!(!share || (shared && !new_keys) || changed.contains(&user), "{user} is missed");
            prop_assert!(!changed.contains(&user) || share, "{user} is out of sight");
            prop_assert!(!changed.contains(&user) || new_keys || moved, "nothing happened to {user}");
            prop_assert!(!left.contains(&user) || !share, "{user} is still there");
            prop_assert!(!shared || share || left.contains(&user), "{user} has gone");
        }
        let own_keys = then.versions[viewer] != self.now.versions[viewer];
        // Who joins is told of themselves, for the sake of their other devices.
        let is_in = |moment: &Moment, room| moment.is(viewer, room, "join");
        let has_joined = (0..ROOMS).any(|room| is_in(&self.now, room) && !is_in(then, room));
        let has_moved = then.moves[viewer] != self.now.moves[viewer];
        prop_assert!(changed.contains(&viewer) || !(own_keys || has_joined), "{viewer} is missed");
        prop_assert!(!changed.contains(&viewer) || own_keys || has_moved, "nothing happened to {viewer}");
        prop_assert!(!left.contains(&viewer));
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn device_lists_never_miss_what_a_model_predicts(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step)?;
        }
        world.remember();
        for viewer in 0..USERS {
            for then in world.past.clone() {
                world.check(viewer, &then)?;
            }
        }
    }
}

#[test]
fn members_are_told_when_their_room_becomes_encrypted() {
    let server = SyncFixture::new();
    let [alice, bob, carol] = people();
    let room = server.rooms.public_room(&alice);
    server.rooms.join(&room, &bob);
    server.rooms.public_room(&carol);
    let (_, token) = server.sync(&bob, None);
    let content = json!({"algorithm": "m.megolm.v1.aes-sha2"});
    server.rooms.set_state(&room, &alice, "m.room.encryption", "", content).unwrap();
    let (answer, _) = server.sync(&bob, Some(token));
    assert_eq!(answer["device_lists"], json!({"changed": [alice], "left": []}));
}

#[test]
fn who_leaves_is_told_as_left_by_both() {
    let server = SyncFixture::new();
    let [alice, bob, carol] = people();
    let room = server.rooms.public_room(&alice);
    server.rooms.join(&room, &bob);
    server.rooms.join(&room, &carol);
    let both = server.rooms.public_room(&alice);
    server.rooms.join(&both, &carol);
    let tokens = [&alice, &bob, &carol].map(|user| server.sync(user, None).1);
    server.rooms.set_membership(&room, &bob, &bob, "leave").unwrap();
    let lists = |user, token| server.sync(user, Some(token)).0["device_lists"].clone();
    assert_eq!(lists(&alice, tokens[0]), json!({"changed": [], "left": [bob]}));
    assert_eq!(lists(&bob, tokens[1]), json!({"changed": [], "left": [alice, carol]}));
    let short = server.short_user(&bob);
    let token = server.sync(&alice, None).1;
    server.storage.write(|tx| device_list::mark_changed(tx, short)).unwrap();
    assert_eq!(lists(&alice, token), json!(null), "out of sight");
}
