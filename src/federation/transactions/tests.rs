//! Each transaction has its effect once; who may say what.

use std::sync::atomic::{AtomicUsize, Ordering};

use ruma::{OwnedRoomId, OwnedUserId, UserId, event_id, server_name};
use serde_json::{Value, json};

use super::*;
use crate::{
    rooms::{Receipts, ServerAcls, Typing, testing::RoomsFixture},
    storage::{Read, ShortUserId, StreamPosition},
    users::{Clock, Presence, RemoteDevices, ToDevice},
};

/// Counts what it takes and says of each event that it is taken.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicUsize>);

impl TakePdus for Counting {
    fn take(&self, _origin: OwnedServerName, pdus: Vec<Box<RawValue>>) -> PendingOutcomes {
        self.0.fetch_add(pdus.len(), Ordering::SeqCst);
        let outcome = (event_id!("$event").to_owned(), Err("not today".to_owned()));
        Box::pin(async move { PduOutcomes::from([outcome]) })
    }
}

struct Scene {
    rooms: RoomsFixture,
    typing: Typing,
    presence: Presence,
    taken: Counting,
    transactions: IncomingTransactions,
    alice: OwnedUserId,
    room: OwnedRoomId,
}

fn remote(name: &str, server: &str) -> OwnedUserId {
    OwnedUserId::try_from(format!("@{name}:{server}")).unwrap()
}

impl Scene {
    fn new() -> Self {
        let rooms = RoomsFixture::new();
        let alice = RoomsFixture::user("alice");
        let room = rooms.public_room(&alice);
        let clock = Clock::manual(1_700_000_000_000).0;
        let typing = Typing::new(clock.clone());
        let presence = Presence::new(clock.clone());
        let edus = IncomingEdus::new(IncomingEduSources {
            storage: rooms.storage.clone(),
            index: rooms.index.clone(),
            acls: ServerAcls::new(rooms.index.clone(), rooms.events.clone(), rooms.states.clone()),
            typing: typing.clone(),
            presence: presence.clone(),
            to_device: ToDevice::new(
                rooms.storage.clone(),
                server_name!("example.org").to_owned(),
                clock.clone(),
            ),
            remote_devices: RemoteDevices::new(rooms.storage.clone(), server_name!("example.org").to_owned()),
            clock,
        });
        let taken = Counting::default();
        let transactions = IncomingTransactions::new(rooms.storage.clone(), taken.clone(), edus);
        Self { rooms, typing, presence, taken, transactions, alice, room }
    }

    async fn send(&self, id: &str, pdus: usize, edus: &[Value]) -> Result<PduOutcomes, TransactionError> {
        let pdu = || RawValue::from_string("{}".to_owned()).unwrap();
        let transaction = IncomingTransaction {
            origin: server_name!("a.test").to_owned(),
            id: id.to_owned(),
            pdus: (0..pdus).map(|_| pdu()).collect(),
            edus: edus
                .iter()
                .map(|edu| Raw::from_json(serde_json::value::to_raw_value(edu).unwrap()))
                .collect(),
        };
        self.transactions.receive(transaction).await
    }

    fn short(&self, user: &UserId) -> ShortUserId {
        self.rooms.storage.short_user_id(user).unwrap().unwrap()
    }

    fn typists(&self) -> Vec<ShortUserId> {
        self.typing.typists(self.rooms.short(&self.room))
    }

    fn typing_edu(&self, user: &UserId, typing: bool) -> Value {
        json!({"edu_type": "m.typing", "content": {"room_id": self.room, "user_id": user, "typing": typing}})
    }
}

#[tokio::test]
async fn a_repeated_transaction_has_no_effect_and_the_same_answer() {
    let scene = Scene::new();
    let first = scene.send("1", 2, &[]).await.unwrap();
    assert_eq!(first.len(), 1);
    let user = remote("u", "a.test");
    scene.rooms.join(&scene.room, &user);
    let again = scene.send("1", 2, &[scene.typing_edu(&user, true)]).await.unwrap();
    assert_eq!((first, scene.taken.0.load(Ordering::SeqCst)), (again, 2));
    assert!(scene.typists().is_empty());
    for number in 0..2 * limits::ANSWERS_KEPT {
        scene.send(&format!("t{number}"), 1, &[]).await.unwrap();
    }
    let kept = &crate::storage::tables::INCOMING_TRANSACTIONS;
    let rows = scene.rooms.storage.scan(kept, &kept.all(), crate::storage::Direction::Forward).count();
    assert_eq!(rows as u64, limits::ANSWERS_KEPT);
    let taken = scene.taken.0.load(Ordering::SeqCst);
    scene.send(&format!("t{}", 2 * limits::ANSWERS_KEPT - 1), 1, &[]).await.unwrap();
    assert_eq!(scene.taken.0.load(Ordering::SeqCst), taken, "the newest are known");
    assert!(scene.transactions.0.turns(|turns| turns.is_empty()), "no server's turn is left over");
}

#[tokio::test]
async fn too_much_is_refused_whole() {
    let scene = Scene::new();
    let edus = vec![json!({"edu_type": "m.odd", "content": {}}); limits::EDUS_MAX + 1];
    assert!(matches!(scene.send("1", 51, &[]).await, Err(TransactionError::TooMany)));
    assert!(matches!(scene.send("1", 0, &edus).await, Err(TransactionError::TooMany)));
    assert_eq!(scene.taken.0.load(Ordering::SeqCst), 0);
    scene.send("1", 50, &edus[1..]).await.unwrap();
    let held: Vec<_> =
        (0..=limits::WAITING_MAX).map(|_| scene.transactions.0.turn(server_name!("a.test"))).collect();
    assert!(held.iter().all(Option::is_some));
    assert!(matches!(scene.send("2", 1, &[]).await, Err(TransactionError::Busy)));
    drop(held);
    scene.send("2", 1, &[]).await.unwrap();
}

#[tokio::test]
async fn a_server_speaks_for_its_own_members_only() {
    let scene = Scene::new();
    let (user, outside, other) = (remote("u", "a.test"), remote("v", "a.test"), remote("u", "b.test"));
    scene.rooms.join(&scene.room, &user);
    scene.rooms.join(&scene.room, &other);
    let forged = [&outside, &other, &scene.alice].map(|user| scene.typing_edu(user, true));
    scene.send("1", 0, &forged).await.unwrap();
    assert!(scene.typists().is_empty());
    let unreadable = json!({"edu_type": "m.typing", "content": {"room_id": 7}});
    scene.send("2", 0, &[unreadable, scene.typing_edu(&user, true)]).await.unwrap();
    assert_eq!(scene.typists(), [scene.short(&user)]);
    scene.send("3", 0, &[scene.typing_edu(&user, false)]).await.unwrap();
    assert!(scene.typists().is_empty());
    let acl = json!({"allow": ["*"], "deny": ["a.test"], "allow_ip_literals": true});
    scene.rooms.set_state(&scene.room, &scene.alice, "m.room.server_acl", "", acl).unwrap();
    scene.send("4", 0, &[scene.typing_edu(&user, true)]).await.unwrap();
    assert!(scene.typists().is_empty(), "the room lets the server take no part");
}

#[tokio::test]
async fn receipts_are_of_members_for_events_of_the_room() {
    let scene = Scene::new();
    let user = remote("u", "a.test");
    scene.rooms.join(&scene.room, &user);
    let said = scene.rooms.say(&scene.room, &scene.alice, "read this");
    let elsewhere = scene.rooms.public_room(&scene.alice);
    let foreign = scene.rooms.say(&elsewhere, &scene.alice, "not this");
    let receipt = |user: &UserId, event: &str, thread: Option<&str>| {
        let data = thread.map_or(json!({"ts": 5}), |thread| json!({"ts": 5, "thread_id": thread}));
        json!({"edu_type": "m.receipt", "content":
            {scene.room.as_str(): {"m.read": {user.as_str(): {"data": data, "event_ids": [event]}}}}})
    };
    let edus = [
        receipt(&user, foreign.as_str(), None),
        receipt(&user, "$unknown", None),
        receipt(&scene.alice, said.as_str(), None),
        receipt(&user, said.as_str(), None),
        receipt(&user, said.as_str(), Some("main")),
        receipt(&user, said.as_str(), Some(said.as_str())),
        // Threads that are none would have a row each.
        receipt(&user, said.as_str(), Some(foreign.as_str())),
        receipt(&user, said.as_str(), Some("$unknown")),
        receipt(&user, said.as_str(), Some("made up")),
    ];
    scene.send("1", 0, &edus).await.unwrap();
    let room = scene.rooms.short(&scene.room);
    let until = StreamPosition(u64::MAX - 1);
    let storage = &scene.rooms.storage;
    let rows = Receipts::since(storage, room, StreamPosition(0), until, ShortUserId(0)).unwrap();
    let told: Vec<_> = rows.iter().map(|row| (row.user, row.at_ms, row.thread.as_str())).collect();
    let user = scene.short(&user);
    assert_eq!(told, [(user, 5, ""), (user, 5, "main"), (user, 5, said.as_str())]);
}

#[tokio::test]
async fn presence_is_believed_of_the_servers_own_users_whom_this_server_knows() {
    let scene = Scene::new();
    let (user, stranger, other) = (remote("u", "a.test"), remote("v", "a.test"), remote("u", "b.test"));
    scene.rooms.join(&scene.room, &user);
    scene.rooms.join(&scene.room, &other);
    let update = |user: &UserId, state: &str, message: &str| {
        json!({"user_id": user, "presence": state, "last_active_ago": 7_000, "currently_active": true,
               "status_msg": message})
    };
    let long = "x".repeat(crate::users::limits::STATUS_MESSAGE_BYTES_MAX + 1);
    let push = [
        update(&scene.alice, "online", "forged"),
        update(&other, "online", "forged"),
        update(&stranger, "online", "unknown"),
        update(&user, "online", "here"),
    ];
    scene.send("1", 0, &[json!({"edu_type": "m.presence", "content": {"push": push}})]).await.unwrap();
    for unknown in [&scene.alice, &other] {
        assert_eq!(scene.presence.of(scene.short(unknown)), None);
    }
    let shown = scene.presence.of(scene.short(&user)).unwrap();
    let parts = (shown.state.as_str(), shown.status_msg.as_deref(), shown.is_currently_active);
    assert_eq!(parts, ("online", Some("here"), true));
    assert_eq!(scene.presence.last_active_ago_ms(&shown), Some(7_000));
    let odd = json!({"push": [update(&user, "org.example.busy", &long)]});
    scene.send("2", 0, &[json!({"edu_type": "m.presence", "content": odd})]).await.unwrap();
    let shown = scene.presence.of(scene.short(&user)).unwrap();
    assert_eq!(
        (shown.state.as_str(), shown.status_msg, shown.is_currently_active),
        ("unavailable", None, false)
    );
}
