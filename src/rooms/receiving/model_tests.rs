//! Several servers act at the same time and get each other's events in any order, some twice and some only when
//! something follows them. Whatever the order, each event has the same state before it everywhere, is refused
//! everywhere or nowhere, and in the end all have one state.

use std::collections::{HashMap, HashSet};

use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId, RoomVersionId};
use serde_json::json;

use super::{Reception, testing::Server};
use crate::{matrix::event::Event, storage::records::EventStatus};

/// Steps of one history.
const STEPS: usize = 90;

/// Random numbers that a seed repeats (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

struct Net {
    servers: Vec<Server>,
    users: Vec<OwnedUserId>,
    room: OwnedRoomId,
    random: Random,
    /// Every event as its server made it, and which server that is.
    made: HashMap<OwnedEventId, (usize, Event)>,
    /// Events on their way: to which server.
    on_the_way: Vec<(usize, OwnedEventId)>,
    collected: Vec<HashSet<OwnedEventId>>,
}

impl Net {
    fn new(version: &RoomVersionId, seed: u64) -> Self {
        let servers: Vec<Server> = ["one.example", "two.example", "three.example"].map(Server::new).into();
        let users: Vec<OwnedUserId> =
            servers.iter().flat_map(|server| [server.user("a"), server.user("b")]).collect();
        let room = servers[0].public_room(&users[0], version);
        let collected = servers.iter().map(|_| HashSet::new()).collect();
        let random = Random(seed);
        let mut net =
            Self { servers, users, room, random, made: HashMap::new(), on_the_way: Vec::new(), collected };
        net.servers[0].rooms.join(&net.room, &net.users[1]);
        net.collect(0);
        // The others are not there yet: they get the state when they join.
        net.on_the_way.clear();
        for server in 1..net.servers.len() {
            let user = net.users[2 * server].clone();
            let join = net.servers[server].join_through(&net.servers[0], &net.room, &user);
            net.made.insert(join.event_id().to_owned(), (server, join.clone()));
            net.collected[server].insert(join.event_id().to_owned());
            for other in 1..server {
                net.on_the_way.push((other, join.event_id().to_owned()));
            }
            net.settle();
        }
        net
    }

    /// Takes note of what a server has made, and sends it to all others.
    fn collect(&mut self, at: usize) {
        let server = &self.servers[at];
        for event in server.rooms.timeline(&self.room) {
            let is_own = event.sender().server_name().as_str() == server.name;
            if is_own && self.collected[at].insert(event.event_id().to_owned()) {
                self.made.entry(event.event_id().to_owned()).or_insert_with(|| (at, (*event).clone()));
                for other in (0..self.servers.len()).filter(|other| *other != at) {
                    self.on_the_way.push((other, event.event_id().to_owned()));
                }
            }
        }
    }

    fn step(&mut self) {
        match self.random.below(9) {
            0..=3 if !self.on_the_way.is_empty() => {
                let at = self.random.below(self.on_the_way.len());
                let (to, event) = self.on_the_way[at].clone();
                // Some come twice.
                if self.random.below(8) > 0 {
                    self.on_the_way.swap_remove(at);
                }
                self.deliver(to, &event);
            }
            4 if !self.on_the_way.is_empty() => {
                // Lost; something that follows it will make it known.
                let at = self.random.below(self.on_the_way.len());
                self.on_the_way.swap_remove(at);
            }
            _ => self.act(),
        }
    }

    fn act(&mut self) {
        let at = self.random.below(self.servers.len());
        let sender = self.users[2 * at + self.random.below(2)].clone();
        let target = self.random.pick(&self.users[1..]).clone();
        let note = self.random.below(1_000).to_string();
        let room = &self.room;
        let rooms = &self.servers[at].rooms;
        rooms.clock.advance_ms(1 + self.random.0 % 7);
        // What the rules refuse is not sent.
        let _ = match self.random.below(12) {
            0..=2 => rooms.set_state(room, &sender, "m.room.topic", "", json!({"topic": note})),
            3 => rooms.set_state(room, &sender, "org.example.note", &note[..1], json!({"note": note})),
            4 => rooms.set_membership(room, &sender, &target, "ban"),
            5 => rooms.set_membership(room, &sender, &target, "leave"),
            6 => rooms.set_membership(room, &sender, &target, "invite"),
            7 | 8 => rooms.set_membership(room, &sender, &sender, "join"),
            9 => {
                let mut content = rooms.state_content(room, "m.room.power_levels", "");
                let level = *self.random.pick(&[0, 25, 50, 60]);
                content["users"][target.as_str()] = json!(level);
                content["events_default"] = json!(0);
                content["state_default"] = json!(self.random.pick(&[0, 25, 50]));
                content["events"] = json!({});
                rooms.set_state(room, &sender, "m.room.power_levels", "", content)
            }
            10 => {
                let rule = *self.random.pick(&["public", "public", "invite"]);
                rooms.set_state(room, &sender, "m.room.join_rules", "", json!({"join_rule": rule}))
            }
            _ => {
                let content = crate::rooms::testing::content(json!({"body": note, "msgtype": "m.text"}));
                let draft = crate::rooms::appender::Draft::message(&sender, "m.room.message", content);
                rooms.append(room, draft)
            }
        };
        self.collect(at);
    }

    /// Delivers an event, and what it lacks before it.
    fn deliver(&mut self, to: usize, event_id: &OwnedEventId) {
        let mut open = vec![event_id.clone()];
        while let Some(next) = open.last().cloned() {
            let event = self.made[&next].1.clone();
            match self.servers[to].received.receive(event.clone()).unwrap() {
                Reception::Missing { prev_events, auth_events } => {
                    if !auth_events.is_empty() {
                        let (origin, _) = self.made[&next];
                        let own: Vec<Event> = auth_events.iter().map(|id| self.made[id].1.clone()).collect();
                        let named = own.iter().map(|event| {
                            ((event.event_id().to_string(), String::new()), event.event_id().to_owned())
                        });
                        let (_, mut chain) = self.servers[origin].state_and_auth_chain(&named.collect());
                        chain.extend(own);
                        let version = self.version();
                        self.servers[to].received.store_outliers(&self.room, &version, chain).unwrap();
                    }
                    open.extend(prev_events);
                }
                _ => {
                    open.pop();
                }
            }
        }
        self.collect(to);
    }

    fn version(&self) -> RoomVersionId {
        let server = &self.servers[0].rooms;
        server.index.record(server.short(&self.room)).unwrap().unwrap().version.clone()
    }

    /// Delivers all that is on its way.
    fn settle(&mut self) {
        while !self.on_the_way.is_empty() {
            let at = self.random.below(self.on_the_way.len());
            let (to, event) = self.on_the_way.swap_remove(at);
            self.deliver(to, &event);
        }
    }

    fn check(&self) {
        for id in self.made.keys() {
            let known: Vec<&Server> = self
                .servers
                .iter()
                .filter(|server| {
                    server.stored(id).is_some_and(|stored| stored.meta.status != EventStatus::Outlier)
                })
                .collect();
            for pair in known.windows(2) {
                let (left, right) = (pair[0], pair[1]);
                assert_eq!(left.state_before(id), right.state_before(id), "the state before {id}");
                assert_eq!(left.status(id).is_rejected(), right.status(id).is_rejected(), "{id}");
            }
        }
    }
}

fn run(version: &RoomVersionId, seed: u64) {
    let mut net = Net::new(version, seed);
    for _ in 0..STEPS {
        net.step();
    }
    // Whoever made the room may always speak: what follows all that its server has settles what is open.
    for _ in 0..2 {
        net.settle();
        let creator = net.users[0].clone();
        net.servers[0].rooms.say(&net.room, &creator, "let us agree");
        net.collect(0);
    }
    net.settle();
    net.check();
    let last = net.servers[0].rooms.timeline(&net.room).last().unwrap().event_id().to_owned();
    let agreed = net.servers[0].state_before(&last);
    for server in &net.servers {
        assert_eq!(server.state_before(&last), agreed, "{} does not agree", server.name);
        assert_eq!(server.status(&last), EventStatus::Accepted);
    }
    assert_eq!(net.servers[0].state(&net.room), agreed);
}

fn run_all(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        for version in [RoomVersionId::V6, RoomVersionId::V11, RoomVersionId::V12] {
            // A failure names them.
            let outcome = std::panic::catch_unwind(|| run(&version, seed));
            assert!(outcome.is_ok(), "version {version}, seed {seed}");
        }
    }
}

#[test]
fn the_order_of_arrival_changes_nothing() {
    run_all(0..3);
}

/// `cargo test --lib -- --ignored many_orders_of_arrival`
#[test]
#[ignore = "takes minutes"]
fn many_orders_of_arrival_change_nothing() {
    run_all(100..400);
}
