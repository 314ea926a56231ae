//! `kill -9` at random moments: what was acknowledged or seen stays, once and in order.
//!
//! Several clients send into one room and one syncs along, while the process is killed after a random number
//! of acknowledgements, with requests in flight. `CONDUIT_TEST_SEED` replays the numbers of a run.

use std::{
    collections::{HashMap, HashSet},
    env,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Sender},
    },
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use crate::harness::{Client, Server, ServerSettings, event_ids, path_segment};

const CRASHES: usize = 20;
const SENDERS: usize = 4;
/// The kill comes after 1 to this many acknowledgements.
const ACKNOWLEDGEMENTS_MAX: u64 = 60;
/// Each nth event of a sender is a state event.
const STATE_EVERY: u64 = 7;

/// One event on its way: what was sent, and what is known about it.
#[derive(Clone)]
struct Sent {
    sender: usize,
    number: u64,
    /// The moment of the first request, on the test's own clock of ticks.
    started: u64,
    /// The moment and the event id of the answer.
    acknowledged: Option<(u64, String)>,
}

impl Sent {
    /// The text by which the event is recognised; unique in the room.
    fn mark(&self) -> String {
        format!("{}/{}", self.sender, self.number)
    }

    fn is_state(&self) -> bool {
        self.number % STATE_EVERY == STATE_EVERY - 1
    }

    /// Sends, or sends again under the same transaction id; the event id, or nothing if the server is gone.
    fn request(&self, client: &Client, room: &str) -> Option<String> {
        let (rest, content) = if self.is_state() {
            let key = path_segment(&format!("key-{}", self.sender));
            (format!("state/org.example.mark/{key}"), json!({ "mark": self.mark() }))
        } else {
            let content = json!({ "msgtype": "m.text", "body": self.mark(), "mark": self.mark() });
            (format!("send/m.room.message/txn-{}", self.number), content)
        };
        let path = Client::room_path(room, &rest);
        let answer = client.try_raw("PUT", &path, Some(content.to_string().as_bytes())).ok()?;
        Some(answer.ok()["event_id"].as_str().expect("event_id").to_owned())
    }
}

/// Numbers that look random and are the same for the same seed (splitmix64).
struct Random(u64);

impl Random {
    fn from_environment() -> Self {
        let seed = env::var("CONDUIT_TEST_SEED").map_or_else(
            |_| u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap(),
            |seed| seed.parse().expect("CONDUIT_TEST_SEED is a number"),
        );
        println!("CONDUIT_TEST_SEED={seed}");
        Self(seed)
    }

    /// A number from 1 to `max`.
    fn up_to(&mut self, max: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % max + 1
    }
}

/// The room with its clients, and all that they sent.
struct Scene {
    clients: Vec<Client>,
    watcher: Client,
    room: String,
    clock: AtomicU64,
    sent: Mutex<Vec<Sent>>,
}

impl Scene {
    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// Sends one sender's events until the server is gone.
    fn send_until_gone(&self, sender: usize, first: u64, acknowledgements: &Sender<()>) {
        for number in first.. {
            let mut event = Sent { sender, number, started: self.tick(), acknowledged: None };
            let answered = event.request(&self.clients[sender], &self.room);
            event.acknowledged = answered.map(|event_id| (self.tick(), event_id));
            let gone = event.acknowledged.is_none();
            self.sent.lock().unwrap().push(event);
            if gone {
                return;
            }
            // Nobody counts any more once the kill has begun.
            let _ = acknowledgements.send(());
        }
    }

    /// Syncs on until the server is gone or, with `stop`, nothing is left; what came.
    fn watch(&self, since: &mut String, stop: bool) -> Vec<String> {
        let filter = Client::filter_query(&json!({ "room": { "timeline": { "limit": 1_000 } } }));
        let timeout = if stop { 0 } else { 2_000 };
        let mut seen = Vec::new();
        loop {
            let since_now = path_segment(since);
            let path = format!("/_matrix/client/v3/sync?timeout={timeout}&since={since_now}&{filter}");
            let Ok(answer) = self.watcher.try_raw("GET", &path, None) else { return seen };
            let body = answer.ok();
            body["next_batch"].as_str().unwrap().clone_into(since);
            let timeline = &body["rooms"]["join"][&self.room]["timeline"];
            assert_ne!(timeline["limited"], true, "the watcher wants everything: {body}");
            let events = timeline["events"].as_array().cloned().unwrap_or_default();
            if stop && events.is_empty() {
                return seen;
            }
            seen.extend(event_ids(&events));
        }
    }
}

/// The whole run, with all that was seen.
struct Run {
    server: Server,
    scene: Scene,
    /// The event ids that the watcher's syncs brought, in their order.
    watched: Vec<String>,
    since: String,
    /// The room as it stood after the last restart.
    timeline: Vec<String>,
}

impl Run {
    fn new() -> Self {
        let server = Server::start_with(&ServerSettings::default());
        let clients: Vec<Client> = (0..SENDERS).map(|n| server.register(&format!("sender{n}"))).collect();
        let watcher = server.register("watcher");
        let room = clients[0].create_room(json!({
            "preset": "public_chat", "power_level_content_override": { "state_default": 0 },
        }));
        for client in clients[1..].iter().chain([&watcher]) {
            client.join(&room).ok();
        }
        let since = watcher.sync(None, "").next_batch().to_owned();
        let timeline = event_ids(&watcher.all_messages(&room, 'f', 100));
        let scene = Scene { clients, watcher, room, clock: AtomicU64::new(0), sent: Mutex::default() };
        Self { server, scene, watched: timeline.clone(), since, timeline }
    }

    /// Lets all clients work, and kills the process after that many acknowledgements.
    fn work_and_crash(&mut self, acknowledgements: u64) {
        let (sender, receiver) = mpsc::channel();
        let Self { server, scene, since, watched, .. } = self;
        let scene = &*scene;
        let next = u64::try_from(scene.sent.lock().unwrap().len()).unwrap();
        thread::scope(|scope| {
            for number in 0..SENDERS {
                let acknowledged = sender.clone();
                scope.spawn(move || scene.send_until_gone(number, next, &acknowledged));
            }
            drop(sender);
            let watching = scope.spawn(|| scene.watch(since, false));
            for _ in 0..acknowledgements {
                receiver.recv().expect("the senders end only when the server is gone");
            }
            server.kill();
            watched.extend(watching.join().unwrap());
        });
    }

    /// Starts the process again and moves all clients to its new address.
    fn restart(&mut self) {
        self.server.restart();
        let base_url = self.server.base_url().to_owned();
        for client in self.scene.clients.iter_mut().chain([&mut self.scene.watcher]) {
            *client = client.moved_to(&base_url);
        }
    }

    /// Checks all promises after a restart, and repeats what was not answered.
    fn verify(&mut self) {
        let events = self.scene.watcher.all_messages(&self.scene.room, 'f', 500);
        self.verify_timeline(&events);
        self.verify_acknowledged(&events);
        self.repeat_last_of_each_sender();
        self.watched.extend(self.scene.watch(&mut self.since, true));
        let now = event_ids(&self.scene.watcher.all_messages(&self.scene.room, 'f', 500));
        assert_eq!(self.watched, now, "the syncs brought each event once and in the room's order");
        self.verify_state();
        self.timeline = now;
    }

    /// The room only grew at its end, and holds nothing twice.
    fn verify_timeline(&self, events: &[Value]) {
        let ids = event_ids(events);
        assert!(ids.starts_with(&self.timeline), "the past has changed");
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "an event stands twice");
        let mut reversed = event_ids(&self.scene.watcher.all_messages(&self.scene.room, 'b', 500));
        reversed.reverse();
        assert_eq!(reversed, ids);
        assert!(ids.starts_with(&self.watched), "an event that a client has seen is gone or has moved");
    }

    /// Each acknowledged event is there exactly once, under its id, after all that had been acknowledged
    /// before it was sent.
    fn verify_acknowledged(&self, events: &[Value]) {
        let mut places: HashMap<String, Vec<(usize, String)>> = HashMap::new();
        for (place, event) in events.iter().enumerate() {
            if let Some(mark) = event["content"]["mark"].as_str() {
                let id = event["event_id"].as_str().unwrap().to_owned();
                places.entry(mark.to_owned()).or_default().push((place, id));
            }
        }
        let sent = self.scene.sent.lock().unwrap();
        let mut in_order = Vec::new();
        for event in sent.iter() {
            let found = places.get(&event.mark()).map_or(&[][..], Vec::as_slice);
            assert!(found.len() <= 1, "{} stands {} times", event.mark(), found.len());
            if let Some((when, id)) = &event.acknowledged {
                let (place, found_id) =
                    found.first().unwrap_or_else(|| panic!("acknowledged {} is lost", event.mark()));
                assert_eq!(found_id, id, "{}", event.mark());
                in_order.push((*place, event.started, *when));
            }
        }
        in_order.sort_unstable();
        let mut latest_start = 0;
        for (place, started, acknowledged) in in_order {
            assert!(acknowledged >= latest_start, "the event at place {place} stands too late");
            latest_start = latest_start.max(started);
        }
    }

    /// Sends again, under the same transaction id, what each sender sent last: an answered one gets the
    /// same answer, an unanswered one is there once from now on.
    fn repeat_last_of_each_sender(&self) {
        let mut sent = self.scene.sent.lock().unwrap();
        for (number, client) in self.scene.clients.iter().enumerate() {
            let own = sent.iter_mut().filter(|event| event.sender == number && !event.is_state());
            for event in own.rev().take(2) {
                let id = event.request(client, &self.scene.room).expect("the server answers");
                match &event.acknowledged {
                    Some((_, known)) => assert_eq!(id, *known, "a repeated transaction is a new event"),
                    None => event.acknowledged = Some((self.scene.tick(), id)),
                }
            }
        }
    }

    /// The current state is what the timeline's last state events say.
    fn verify_state(&self) {
        let events = self.scene.watcher.all_messages(&self.scene.room, 'b', 500);
        for sender in 0..SENDERS {
            let key = format!("key-{sender}");
            let last = events.iter().find(|event| event["state_key"] == key.as_str());
            let answer = self.scene.watcher.state(&self.scene.room, "org.example.mark", &key);
            match last {
                Some(event) => assert_eq!(answer.ok(), event["content"], "{key}"),
                None => drop(answer.error(404, "M_NOT_FOUND")),
            }
        }
    }
}

#[test]
fn nothing_acknowledged_or_seen_is_lost_in_twenty_crashes() {
    let mut random = Random::from_environment();
    let mut run = Run::new();
    for crash in 1..=CRASHES {
        run.work_and_crash(random.up_to(ACKNOWLEDGEMENTS_MAX));
        // Not each time, since the check itself opens and so recovers the store.
        if crash % 5 == 0 {
            run.server.assert_check_finds_nothing();
        }
        run.restart();
        run.verify();
    }
    let acknowledged =
        run.scene.sent.lock().unwrap().iter().filter(|event| event.acknowledged.is_some()).count();
    println!("{CRASHES} crashes, {acknowledged} acknowledged events, none lost");
    assert!(acknowledged >= CRASHES, "there was something to lose");
    assert!(run.server.stop().success());
    run.server.assert_check_finds_nothing();
}
