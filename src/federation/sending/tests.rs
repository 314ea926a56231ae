//! Rooms with other servers, and a way to them that drops what it likes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use proptest::prelude::*;
use ruma::{
    OwnedEventId, OwnedRoomId, OwnedUserId, UserId,
    api::federation::transactions::edu::{DeviceListUpdateContent, Edu},
    owned_user_id,
};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::*;
use crate::{
    net::ShutdownTrigger,
    rooms::testing::RoomsFixture,
    storage::tables::{OUTBOX, OUTGOING_EDUS},
    users::EduOutbox,
};

/// What other servers have got: transactions by server, repetitions left out, and whether each is there.
#[derive(Default)]
struct World {
    down: BTreeSet<OwnedServerName>,
    /// Servers whose answer is lost on the way.
    deaf: BTreeSet<OwnedServerName>,
    under_way: BTreeSet<OwnedServerName>,
    /// Servers that were down when a transaction was to be delivered.
    missed: BTreeSet<OwnedServerName>,
    got: BTreeMap<OwnedServerName, Vec<OutgoingTransaction>>,
}

#[derive(Clone)]
struct FakeWay {
    world: Arc<Mutex<World>>,
    changed: watch::Sender<u64>,
}

impl FakeWay {
    fn new() -> Self {
        Self { world: Arc::default(), changed: watch::Sender::new(0) }
    }

    fn world<T>(&self, work: impl FnOnce(&mut World) -> T) -> T {
        work(&mut self.world.lock().unwrap())
    }

    fn texts(&self, server: &str, of: impl Fn(&OutgoingTransaction) -> Vec<Value>) -> Vec<Value> {
        self.world(|world| {
            let got = world.got.get(<&ServerName>::try_from(server).unwrap());
            got.into_iter().flatten().flat_map(of).collect()
        })
    }

    /// What was said in the events that a server has got, in the order in which they came.
    fn bodies(&self, server: &str) -> Vec<String> {
        let events = self
            .texts(server, |it| it.pdus.iter().map(|pdu| serde_json::from_str(pdu.get()).unwrap()).collect());
        let body = |event: &Value| event["content"]["body"].as_str().map(str::to_owned);
        events.iter().filter_map(body).collect()
    }

    fn edus(&self, server: &str) -> Vec<Value> {
        self.texts(server, |it| {
            it.edus.iter().map(|edu| serde_json::from_str(edu.json().get()).unwrap()).collect()
        })
    }

    async fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let mut changed = self.changed.subscribe();
        let waiting = async {
            while !holds() {
                // Not all that is waited for is told; to look again is cheap.
                let _ = tokio::time::timeout(Duration::from_millis(20), changed.changed()).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap_or_else(|_| panic!("{what}"));
    }
}

impl Deliver for FakeWay {
    fn allows(&self, server: &ServerName) -> bool {
        server != "denied.test"
    }

    fn deliver(&self, server: OwnedServerName, transaction: OutgoingTransaction) -> Delivery {
        let this = self.clone();
        Box::pin(async move {
            // The clock stands still, so that nothing is sent again before the server is seen alive.
            let later = Err(DeliveryError::Later { until_ms: 1_700_000_060_000 });
            let first = this.world(|world| world.under_way.insert(server.clone()));
            assert!(first, "one transaction at a time");
            assert!(transaction.pdus.len() <= 50 && transaction.edus.len() <= 100);
            tokio::task::yield_now().await;
            let outcome = this.world(|world| {
                world.under_way.remove(&server);
                if world.down.contains(&server) {
                    world.missed.insert(server);
                    return later;
                }
                let got = world.got.entry(server.clone()).or_default();
                match got.iter().find(|known| known.id == transaction.id) {
                    Some(known) => {
                        let texts = |it: &OutgoingTransaction| {
                            it.pdus.iter().map(|pdu| pdu.get().to_owned()).collect::<Vec<_>>()
                        };
                        assert_eq!(texts(known), texts(&transaction), "the same contents under the same id");
                    }
                    None => got.push(transaction),
                }
                if world.deaf.contains(&server) { later } else { Ok(()) }
            });
            this.changed.send_modify(|count| *count += 1);
            outcome
        })
    }
}

/// A server with a room, and its queues at work.
struct Scene {
    rooms: RoomsFixture,
    way: FakeWay,
    typing: Typing,
    queues: OutgoingQueues,
    trigger: ShutdownTrigger,
    running: tokio::task::JoinHandle<()>,
    alice: OwnedUserId,
    room: OwnedRoomId,
}

impl Scene {
    fn new() -> Self {
        let rooms = RoomsFixture::new();
        let alice = RoomsFixture::user("alice");
        let room = rooms.public_room(&alice);
        Self::over(rooms, FakeWay::new(), alice, room)
    }

    fn over(rooms: RoomsFixture, way: FakeWay, alice: OwnedUserId, room: OwnedRoomId) -> Self {
        let (clock, _) = Clock::manual(1_700_000_000_000);
        let typing = Typing::new(clock.clone());
        let name = OwnedServerName::try_from("example.org").unwrap();
        let queues =
            OutgoingQueues::new(rooms.storage.clone(), name, clock, typing.clone(), way.clone()).unwrap();
        let (trigger, shutdown) = Shutdown::new();
        let running = tokio::spawn(queues.clone().run(shutdown));
        Self { rooms, way, typing, queues, trigger, running, alice, room }
    }

    /// Stops, as a crash does: what is only in memory is lost. Starts again over the same store.
    async fn restarted(self) -> Self {
        self.running.abort();
        let _ = self.running.await;
        // A crash ends threads too; here they end when they have done what they began.
        while Arc::strong_count(&self.queues.0) > 1 {
            tokio::task::yield_now().await;
        }
        self.rooms.storage.durable().await.unwrap();
        let (storage, way) = (self.rooms.storage.clone(), self.way.clone());
        drop(self.queues);
        // A transaction that was cut off does not arrive any more.
        way.world(|world| world.under_way.clear());
        Self::over(RoomsFixture::over(storage), way, self.alice, self.room)
    }

    fn joins(&self, user: &UserId) {
        self.rooms.join(&self.room, user);
    }

    fn say(&self, body: &str) -> OwnedEventId {
        self.rooms.say(&self.room, &self.alice, body)
    }

    fn set_down(&self, server: &str, is_down: bool) {
        let server = OwnedServerName::try_from(server).unwrap();
        self.way.world(
            |world| {
                if is_down { world.down.insert(server.clone()) } else { world.down.remove(&server) }
            },
        );
        if !is_down {
            self.queues.seen_alive(&server);
        }
    }

    async fn until_said(&self, server: &str, body: &str) {
        let what = format!("{server} is told {body}");
        self.way.until(&what, || self.way.bodies(server).last().is_some_and(|last| last == body)).await;
    }

    async fn stop(self) {
        self.trigger.trigger();
        self.running.await.unwrap();
    }
}

fn remote(name: &str) -> OwnedUserId {
    OwnedUserId::try_from(format!("@u:{name}.test")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_go_to_the_servers_that_were_in_the_room_at_them() {
    let scene = Scene::new();
    scene.say("before anybody else");
    scene.joins(&remote("a"));
    scene.say("one");
    scene.joins(&remote("b"));
    scene.joins(&remote("denied"));
    scene.say("two");
    scene.rooms.set_membership(&scene.room, &scene.alice, &remote("a"), "ban").unwrap();
    scene.say("three");
    scene.until_said("b.test", "three").await;
    assert_eq!(scene.way.bodies("b.test"), ["two", "three"]);
    scene
        .way
        .until("the ban arrives", || {
            let events = scene.way.texts("a.test", |it| {
                it.pdus.iter().map(|pdu| serde_json::from_str(pdu.get()).unwrap()).collect()
            });
            events.last().is_some_and(|last| last["content"]["membership"] == "ban")
        })
        .await;
    assert_eq!(scene.way.bodies("a.test"), ["one", "two"]);
    assert!(scene.way.bodies("denied.test").is_empty());
    // A room that does not federate has no rows.
    let newest = scene.rooms.storage.scan(&OUTBOX, &OUTBOX.all(), Direction::Forward).count();
    let local = scene.rooms.public_room(&scene.alice);
    scene.rooms.say(&local, &scene.alice, "to myself");
    let after = scene.rooms.storage.scan(&OUTBOX, &OUTBOX.all(), Direction::Forward).count();
    assert_eq!(newest, after);
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_under_way_is_repeated_with_its_id_after_a_restart() {
    let scene = Scene::new();
    scene.joins(&remote("a"));
    scene.way.world(|world| world.deaf.insert("a.test".try_into().unwrap()));
    scene.say("one");
    scene.until_said("a.test", "one").await;
    scene.way.world(|world| world.deaf.clear());
    let scene = scene.restarted().await;
    scene.say("two");
    scene.until_said("a.test", "two").await;
    assert_eq!(scene.way.bodies("a.test"), ["one", "two"], "the repetition had the same id");
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_away_gets_the_newest_of_each_room() {
    let mut scene = Scene::new();
    scene.joins(&remote("a"));
    scene.joins(&remote("b"));
    let other = scene.rooms.public_room(&scene.alice);
    let lost = scene.rooms.public_room(&scene.alice);
    scene.rooms.join(&other, &remote("a"));
    scene.rooms.join(&lost, &remote("a"));
    scene.say("zero");
    scene.until_said("a.test", "zero").await;
    scene.set_down("a.test", true);
    scene.rooms.say(&other, &scene.alice, "the only one there");
    // What was begun is repeated as it was; what follows is to wait behind it.
    let has_missed = || scene.way.world(|world| !world.missed.is_empty());
    scene.way.until("a transaction is lost", has_missed).await;
    scene.rooms.set_membership(&lost, &scene.alice, &remote("a"), "leave").unwrap();
    for number in 0..limits::EVENTS_WAITING_MAX + 20 {
        scene.say(&format!("number {number}"));
    }
    scene.until_said("b.test", &format!("number {}", limits::EVENTS_WAITING_MAX + 19)).await;
    assert_eq!(scene.queues.totals().behind, 1);
    // That the other server has its last transaction is noted after it came.
    let what = "nothing is in memory for who is behind";
    scene.way.until(what, || scene.queues.totals().events == 0).await;
    scene = scene.restarted().await;
    scene.set_down("a.test", false);
    scene.way.until("all rooms are caught up", || scene.way.bodies("a.test").len() == 3).await;
    let newest = format!("number {}", limits::EVENTS_WAITING_MAX + 19);
    assert_eq!(scene.way.bodies("a.test"), ["zero", "the only one there", &newest]);
    let kick = scene
        .way
        .texts("a.test", |it| it.pdus.iter().map(|pdu| serde_json::from_str(pdu.get()).unwrap()).collect());
    assert!(kick.iter().any(|event| event["content"]["membership"] == "leave"), "a departure is told too");
    scene.say("and on");
    scene.say("and on again");
    scene.until_said("a.test", "and on again").await;
    assert_eq!(scene.way.bodies("a.test")[3..], ["and on", "and on again"]);
    assert_eq!(scene.queues.totals().behind, 0);
    scene.stop().await;
}

/// While a server is caught up, new events are kept for it; if that fails, they are dropped. A room that it was made
/// to leave by one of them is not among its rooms any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_departure_during_an_attempt_to_catch_up_is_told() {
    let scene = Scene::new();
    scene.joins(&remote("a"));
    scene.joins(&remote("b"));
    let lost = scene.rooms.public_room(&scene.alice);
    scene.rooms.join(&lost, &remote("a"));
    scene.set_down("a.test", true);
    for number in 0..limits::EVENTS_WAITING_MAX + 20 {
        scene.say(&format!("number {number}"));
    }
    scene.until_said("b.test", &format!("number {}", limits::EVENTS_WAITING_MAX + 19)).await;
    assert_eq!(scene.queues.totals().behind, 1);
    let sender = &scene.queues.0;
    let server = scene.rooms.storage.short_server_id(&OwnedServerName::try_from("a.test").unwrap());
    let server = server.unwrap().unwrap();
    let delivered = sender.destination_row(server).unwrap().delivered;
    sender.choose_missed(server, delivered).unwrap();
    let kick = scene.rooms.set_membership(&lost, &scene.alice, &remote("a"), "leave").unwrap();
    scene.say("after it");
    scene.until_said("b.test", "after it").await;
    // The next attempt.
    let chosen = sender.choose_missed(server, delivered).unwrap();
    let kick = scene.rooms.storage.short_event_id(&kick).unwrap().unwrap();
    assert!(chosen.events.iter().any(|(_, event)| *event == kick), "{:?}", chosen.events);
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typing_and_receipts_and_presence_are_told_and_device_lists_arrive() {
    let scene = Scene::new();
    scene.joins(&remote("a"));
    let short = |user: &UserId| scene.rooms.storage.short_user_id(user).unwrap().unwrap();
    let room = scene.rooms.short(&scene.room);
    let seen = |kind: &str| {
        let edus = scene.way.edus("a.test");
        edus.into_iter()
            .filter(|edu| edu["edu_type"] == kind)
            .map(|edu| edu["content"].clone())
            .collect::<Vec<_>>()
    };
    scene.typing.start(room, short(&scene.alice), Duration::from_secs(30));
    // That somebody elsewhere types is told by their server.
    scene.typing.start(room, short(&remote("a")), Duration::from_secs(30));
    scene.way.until("typing", || !seen("m.typing").is_empty()).await;
    scene.typing.stop(room, short(&scene.alice));
    scene.way.until("no typing", || seen("m.typing").len() == 2).await;
    let typing = |is: bool| json!({"room_id": scene.room, "user_id": scene.alice, "typing": is});
    assert_eq!(seen("m.typing"), [typing(true), typing(false)]);
    scene.queues.presence_changed(&crate::users::presence::UserPresence {
        user_id: scene.alice.clone(),
        state: ruma::presence::PresenceState::Unavailable,
        status_msg: None,
        last_active_ms: 1_700_000_000_000 - 7,
        is_currently_active: false,
    });
    scene.way.until("presence", || !seen("m.presence").is_empty()).await;
    assert_eq!(
        seen("m.presence"),
        [json!({"push": [{"user_id": scene.alice, "presence": "unavailable", "last_active_ago": 7,
            "currently_active": false}]})]
    );
    scene.set_down("a.test", true);
    for number in 0..130_u32 {
        let user = owned_user_id!("@alice:example.org");
        let edu = Edu::DeviceListUpdate(DeviceListUpdateContent::new(user, "D".into(), number.into()));
        let servers = [<&ServerName>::try_from("a.test").unwrap()];
        scene.rooms.storage.write(|rows| EduOutbox::add(rows, servers, &edu)).unwrap();
    }
    let scene = scene.restarted().await;
    scene.set_down("a.test", false);
    let devices = || {
        let edus = scene.way.edus("a.test").into_iter();
        edus.filter(|edu| edu["edu_type"] == "m.device_list_update").collect::<Vec<_>>()
    };
    scene.way.until("device lists", || devices().len() == 130).await;
    let order: Vec<_> = devices().iter().map(|edu| edu["content"]["stream_id"].as_u64().unwrap()).collect();
    assert_eq!(order, (0..130).collect::<Vec<_>>(), "each once, in order");
    scene
        .way
        .until("they are gone", || {
            scene
                .rooms
                .storage
                .scan(&OUTGOING_EDUS, &OUTGOING_EDUS.all(), Direction::Forward)
                .next()
                .is_none()
        })
        .await;
    scene.stop().await;
}

#[derive(Debug, Clone)]
enum Step {
    Say,
    Join(usize),
    Leave(usize),
    Down(usize),
    Up(usize),
    Deaf(usize),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Say),
        1 => (0usize..3).prop_map(Step::Join),
        1 => (0usize..3).prop_map(Step::Leave),
        1 => (0usize..3).prop_map(Step::Down),
        1 => (0usize..3).prop_map(Step::Up),
        1 => (0usize..3).prop_map(Step::Deaf),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whoever comes, goes, fails and is there again, with restarts between: each server gets each event that it
    /// was in the room at, once, in order.
    #[test]
    fn nothing_is_lost_doubled_or_out_of_order(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut scene = Scene::new();
            let names = ["a", "b", "c"];
            let mut inside = BTreeSet::new();
            let mut expected = BTreeMap::<usize, Vec<String>>::new();
            for (number, step) in steps.into_iter().enumerate() {
                let name = |server: usize| format!("{}.test", names[server]);
                match step {
                    Step::Say => {
                        scene.say(&number.to_string());
                        for server in &inside {
                            expected.entry(*server).or_default().push(number.to_string());
                        }
                    }
                    Step::Join(server) if inside.insert(server) => scene.joins(&remote(names[server])),
                    Step::Leave(server) if inside.remove(&server) => {
                        let user = remote(names[server]);
                        scene.rooms.set_membership(&scene.room, &user, &user, "leave").unwrap();
                    }
                    Step::Join(_) | Step::Leave(_) => {}
                    Step::Down(server) => scene.set_down(&name(server), true),
                    Step::Up(server) => {
                        scene.way.world(|world| world.deaf.remove(<&ServerName>::try_from(&*name(server)).unwrap()));
                        scene.set_down(&name(server), false);
                    }
                    Step::Deaf(server) => {
                        scene.way.world(|world| world.deaf.insert(name(server).try_into().unwrap()));
                    }
                    Step::Restart => scene = scene.restarted().await,
                }
            }
            scene.way.world(|world| world.deaf.clear());
            for (server, said) in &expected {
                let name = format!("{}.test", names[*server]);
                scene.set_down(&name, false);
                let what = format!("{name} has got {said:?}");
                let way = scene.way.clone();
                scene.way.until(&what, || {
                    // While it is left alone, only that it is seen makes it asked again.
                    scene.queues.seen_alive(<&ServerName>::try_from(&*name).unwrap());
                    way.bodies(&name).len() >= said.len()
                }).await;
                assert_eq!(&scene.way.bodies(&name), said);
            }
            scene.stop().await;
        });
    }
}
