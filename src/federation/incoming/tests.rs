//! What comes of PDUs that are pushed, with other servers that are made up.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use ruma::{
    EventId, OwnedEventId, OwnedRoomId, RoomId, RoomVersionId, ServerName,
    room_version_rules::RoomVersionRules,
};
use serde_json::{json, value::RawValue};

use super::{Answer, Between, BoxedAnswer, IncomingPdus, NoAnswer, RemoteEvents, StateIds, limits};
use crate::{
    matrix::event::Event,
    rooms::{
        ReceivedEvents, RoomServers, ServerAcls,
        receiving::testing::{Server, two_servers},
        testing::RoomsFixture,
    },
    users::{Clock, ManualClock},
};

const V11: RoomVersionId = RoomVersionId::V11;

/// A server that answers from its store, or with what a test makes up.
struct Other {
    server: Mutex<Server>,
    asked: AtomicUsize,
    /// Has nothing of what its events lack.
    is_hostile: bool,
    /// Gives no single events. Minutes pass until that is known.
    is_out: AtomicBool,
    time: ManualClock,
}

impl Other {
    fn ask(&self) {
        self.asked.fetch_add(1, Ordering::SeqCst);
    }

    fn pdu(event: &Event) -> Box<RawValue> {
        event.to_raw_pdu().unwrap()
    }
}

fn none(why: &str) -> NoAnswer {
    NoAnswer { why: why.to_owned(), is_outage: false }
}

impl RemoteEvents for Other {
    fn missing_events<'a>(
        &'a self,
        _: &'a ServerName,
        _: &'a RoomId,
        Between { earliest, latest, limit, min_depth }: Between,
    ) -> BoxedAnswer<'a, Answer<Vec<Box<RawValue>>>> {
        Box::pin(async move {
            self.ask();
            let server = self.server.lock().unwrap();
            if self.is_hostile {
                return Ok(Vec::new());
            }
            let mut found: Vec<Arc<Event>> = Vec::new();
            let mut open: Vec<OwnedEventId> = latest
                .iter()
                .filter_map(|id| server.stored(id))
                .flat_map(|stored| stored.event.prev_events().to_vec())
                .collect();
            while let Some(id) = open.pop() {
                let Some(stored) = server.stored(&id).filter(|_| !earliest.contains(&id)) else { continue };
                if stored.event.depth() < min_depth {
                    continue;
                }
                if found.len() < limit as usize && found.iter().all(|event| event.event_id() != id) {
                    open.extend_from_slice(stored.event.prev_events());
                    found.push(stored.event);
                }
            }
            Ok(found.iter().map(|event| Self::pdu(event)).collect())
        })
    }

    fn history<'a>(
        &'a self,
        _: &'a ServerName,
        _: &'a RoomId,
        from: Vec<OwnedEventId>,
        limit: u32,
    ) -> BoxedAnswer<'a, Answer<Vec<Box<RawValue>>>> {
        Box::pin(async move {
            self.ask();
            let server = self.server.lock().unwrap();
            let mut found: Vec<Arc<Event>> = Vec::new();
            let mut open = std::collections::VecDeque::from(from);
            while let Some(id) = open.pop_front() {
                let Some(stored) = server.stored(&id) else { continue };
                if found.len() < limit as usize && found.iter().all(|event| event.event_id() != id) {
                    open.extend(stored.event.prev_events().iter().cloned());
                    found.push(stored.event);
                }
            }
            Ok(found.iter().map(|event| Self::pdu(event)).collect())
        })
    }

    fn state_ids<'a>(
        &'a self,
        _: &'a ServerName,
        _: &'a RoomId,
        event_id: &'a EventId,
    ) -> BoxedAnswer<'a, Answer<StateIds>> {
        Box::pin(async move {
            self.ask();
            let server = self.server.lock().unwrap();
            if self.is_hostile || server.stored(event_id).is_none() {
                return Err(none("not known"));
            }
            let state = server.state_before(event_id);
            let (_, chain) = server.state_and_auth_chain(&state);
            let auth_chain = chain.iter().map(|event| event.event_id().to_owned()).collect();
            Ok(StateIds { state: state.into_values().collect(), auth_chain })
        })
    }

    fn state<'a>(
        &'a self,
        _: &'a ServerName,
        _: &'a RoomId,
        event_id: &'a EventId,
    ) -> BoxedAnswer<'a, Answer<Vec<Box<RawValue>>>> {
        Box::pin(async move {
            self.ask();
            let server = self.server.lock().unwrap();
            let (state, chain) = server.state_and_auth_chain(&server.state_before(event_id));
            Ok(state.iter().chain(&chain).map(Self::pdu).collect())
        })
    }

    fn event<'a>(
        &'a self,
        _: &'a ServerName,
        event_id: &'a EventId,
    ) -> BoxedAnswer<'a, Answer<Box<RawValue>>> {
        Box::pin(async move {
            self.ask();
            if self.is_out.load(Ordering::SeqCst) {
                let minutes = limits::INBOUND_RETRY_AGE_MAX + std::time::Duration::from_secs(60);
                self.time.advance_ms(u64::try_from(minutes.as_millis()).unwrap());
                return Err(NoAnswer { why: "out".to_owned(), is_outage: true });
            }
            let stored = self.server.lock().unwrap().stored(event_id);
            stored.map(|stored| Self::pdu(&stored.event)).ok_or_else(|| none("not known"))
        })
    }

    fn event_auth<'a>(
        &'a self,
        _: &'a ServerName,
        _: &'a RoomId,
        event_id: &'a EventId,
    ) -> BoxedAnswer<'a, Answer<Vec<Box<RawValue>>>> {
        Box::pin(async move {
            self.ask();
            let server = self.server.lock().unwrap();
            let Some(stored) = server.stored(event_id) else { return Err(none("not known")) };
            let own =
                stored.event.auth_events().iter().map(|id| ((id.to_string(), String::new()), id.clone()));
            let (state, chain) = server.state_and_auth_chain(&own.collect());
            Ok(state.iter().chain(&chain).map(Self::pdu).collect())
        })
    }

    fn verify<'a>(
        &'a self,
        pdus: Vec<Box<RawValue>>,
        rules: &'a RoomVersionRules,
    ) -> BoxedAnswer<'a, Vec<Result<Event, String>>> {
        let parse =
            |pdu: Box<RawValue>| Event::from_pdu(pdu.get().as_bytes(), rules).map_err(|e| e.to_string());
        let parsed = pdus.into_iter().map(parse).collect();
        Box::pin(async move { parsed })
    }
}

struct Scene {
    rooms: RoomsFixture,
    received: ReceivedEvents,
    other: Arc<Other>,
    room: OwnedRoomId,
    clock: Clock,
}

impl Scene {
    /// The first server has the room; what is pushed goes to the second one.
    fn new() -> Self {
        Self::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut Other)) -> Self {
        let (one, two, room) = two_servers(&V11);
        let (clock, time) = Clock::manual(1);
        let (asked, is_out) = (AtomicUsize::new(0), AtomicBool::new(false));
        let mut other = Other { server: Mutex::new(one), asked, is_hostile: false, is_out, time };
        change(&mut other);
        Self { rooms: two.rooms, received: two.received, other: Arc::new(other), room, clock }
    }

    fn incoming(&self) -> IncomingPdus {
        let rooms = &self.rooms;
        let acls = ServerAcls::new(rooms.index.clone(), rooms.events.clone(), rooms.states.clone());
        let servers = RoomServers::new(rooms.storage.clone());
        let clock = self.clock.clone();
        IncomingPdus::new(self.received.clone(), acls, servers, self.other.clone(), clock).unwrap()
    }

    fn say(&self, count: usize) -> Vec<OwnedEventId> {
        let one = self.other.server.lock().unwrap();
        let alice = one.user("alice");
        (0..count)
            .map(|number| {
                one.rooms.clock.advance_ms(1);
                one.rooms.say(&self.room, &alice, &number.to_string())
            })
            .collect()
    }

    fn pdu(&self, event: &EventId) -> Box<RawValue> {
        Other::pdu(&self.other.server.lock().unwrap().event(event))
    }

    fn has(&self, event: &EventId) -> bool {
        self.rooms.events.by_id(event).unwrap().is_some_and(|stored| stored.meta.timeline.is_some())
    }

    fn agrees(&self) -> bool {
        let one = self.other.server.lock().unwrap();
        let head = self.rooms.index.head(self.rooms.short(&self.room)).unwrap().unwrap();
        head.state.len() == one.head(&self.room).state.len()
            && self.rooms.timeline(&self.room).last().unwrap().event_id() == one.ends(&self.room)[0]
    }
}

fn origin() -> &'static ServerName {
    ruma::server_name!("one.example")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_becomes_part_of_the_room() {
    let scene = Scene::new();
    let said = scene.say(3);
    let incoming = scene.incoming();
    let pdus = said.iter().map(|id| scene.pdu(id)).collect();
    let outcomes = incoming.submit(origin(), pdus).await;
    assert_eq!(outcomes, said.iter().map(|id| (id.clone(), Ok(()))).collect::<BTreeMap<_, _>>());
    incoming.settled().await;
    assert!(said.iter().all(|id| scene.has(id)) && scene.agrees());
    assert_eq!(scene.other.asked.load(Ordering::SeqCst), 0);
    // Once more changes nothing.
    assert_eq!(incoming.submit(origin(), vec![scene.pdu(&said[0])]).await[&said[0]], Ok(()));
    assert_eq!(incoming.waiting(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_filled_with_ancestors() {
    let scene = Scene::new();
    let said = scene.say(50);
    let incoming = scene.incoming();
    incoming.submit(origin(), vec![scene.pdu(&said[49])]).await;
    incoming.settled().await;
    assert!(said.iter().all(|id| scene.has(id)) && scene.agrees());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_that_is_too_long_is_bridged_by_a_state() {
    let scene = Scene::new();
    let topic = {
        let one = scene.other.server.lock().unwrap();
        let content = json!({"topic": "in the gap"});
        one.rooms.set_state(&scene.room, &one.user("alice"), "m.room.topic", "", content).unwrap()
    };
    let said = scene.say(limits::INBOUND_ANCESTORS_MAX + 30);
    let incoming = scene.incoming();
    let last = said.last().unwrap();
    incoming.submit(origin(), vec![scene.pdu(last)]).await;
    incoming.settled().await;
    assert!(scene.has(last) && !scene.has(&said[0]) && !scene.has(&topic));
    // However long the chain is that a server has prepared.
    assert!(scene.other.asked.load(Ordering::SeqCst) < 40);
    assert_eq!(scene.rooms.state_content(&scene.room, "m.room.topic", ""), json!({"topic": "in the gap"}));
}

/// Otherwise the event would be taken in with a state that lacks what could not be fetched. As it is long ago that it
/// came when that is known, it is given up without pauses: what else the server has sent of the room is waiting.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_state_is_no_state() {
    let scene = Scene::with(|other| other.is_out = AtomicBool::new(true));
    {
        let one = scene.other.server.lock().unwrap();
        let content = json!({"topic": "in the gap"});
        one.rooms.set_state(&scene.room, &one.user("alice"), "m.room.topic", "", content).unwrap();
    }
    let said = scene.say(limits::INBOUND_ANCESTORS_MAX + 30);
    let incoming = scene.incoming();
    let last = said.last().unwrap();
    incoming.submit(origin(), vec![scene.pdu(last)]).await;
    tokio::time::timeout(limits::INBOUND_RETRY_PAUSES[2], incoming.settled()).await.unwrap();
    assert!(!scene.has(last));
    scene.other.is_out.store(false, Ordering::SeqCst);
    incoming.submit(origin(), vec![scene.pdu(last)]).await;
    incoming.settled().await;
    assert!(scene.has(last));
    assert_eq!(scene.rooms.state_content(&scene.room, "m.room.topic", ""), json!({"topic": "in the gap"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_by_a_crash_before_the_work() {
    let scene = Scene::new();
    let said = scene.say(3);
    let incoming = scene.incoming();
    // Queued, and the process ends.
    let pdus = said.iter().map(|id| scene.pdu(id)).collect();
    let (outcomes, queued) = incoming.queue_all(origin(), pdus);
    assert_eq!((outcomes.len(), queued.len()), (3, 3));
    drop(incoming);
    let incoming = scene.incoming();
    assert_eq!(incoming.waiting(), 3);
    incoming.resume();
    incoming.settled().await;
    assert!(said.iter().all(|id| scene.has(id)) && scene.agrees());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_has_is_given_up() {
    let scene = Scene::with(|other| other.is_hostile = true);
    let said = scene.say(2);
    let incoming = scene.incoming();
    incoming.submit(origin(), vec![scene.pdu(&said[1])]).await;
    incoming.settled().await;
    assert!(!scene.has(&said[1]));
    assert!(scene.other.asked.load(Ordering::SeqCst) < 20);
    // Its own ancestor makes up for it.
    incoming.submit(origin(), said.iter().map(|id| scene.pdu(id)).collect()).await;
    incoming.settled().await;
    assert!(scene.has(&said[1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_room_takes_is_refused() {
    let scene = Scene::new();
    let incoming = scene.incoming();
    let elsewhere = {
        let one = scene.other.server.lock().unwrap();
        let room = one.public_room(&one.user("alice"), &V11);
        let id = one.rooms.say(&room, &one.user("alice"), "elsewhere");
        Other::pdu(&one.event(&id))
    };
    let junk = RawValue::from_string("{\"room_id\": 7}".to_owned()).unwrap();
    let long = RawValue::from_string(format!("[\"{}\"]", "x".repeat(200_000))).unwrap();
    assert!(incoming.submit(origin(), vec![elsewhere, junk, long]).await.is_empty());
    assert_eq!(incoming.waiting(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_the_room_denies_is_refused() {
    let scene = Scene::new();
    let denied = {
        let one = scene.other.server.lock().unwrap();
        let content = json!({"allow": ["*"], "deny": ["evil.example"]});
        one.rooms.set_state(&scene.room, &one.user("alice"), "m.room.server_acl", "", content).unwrap()
    };
    let incoming = scene.incoming();
    incoming.submit(origin(), vec![scene.pdu(&denied)]).await;
    incoming.settled().await;
    let said = scene.say(1);
    let evil = ruma::server_name!("evil.example");
    let outcomes = incoming.submit(evil, vec![scene.pdu(&said[0])]).await;
    assert!(outcomes[&said[0]].is_err());
    assert_eq!(incoming.waiting(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_server_can_not_fill_the_queue() {
    let scene = Scene::new();
    let incoming = scene.incoming();
    let text = "x".repeat(1 << 20);
    let room = &*scene.room;
    let push = |origin: &ServerName| {
        let pdus = (0..12).map(|_| (room, text.as_str()));
        incoming.inner.queue.push(origin, 1, pdus).unwrap().iter().filter(|number| number.is_some()).count()
    };
    assert_eq!(push(origin()), limits::INBOUND_QUEUE_SERVER_BYTES_MAX >> 20);
    assert_eq!(push(ruma::server_name!("other.example")), limits::INBOUND_QUEUE_SERVER_BYTES_MAX >> 20);
}
