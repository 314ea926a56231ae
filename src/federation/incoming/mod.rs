//! PDUs that other servers push: queued on disk before the transaction is answered, then worked off.
//!
//! For: [`IncomingPdus::submit`], which takes the PDUs of a transaction. What one server sends of one room makes
//! a *lane* that is worked off in order; lanes go on side by side, so that a server whose events lack ancestors
//! that nobody has holds up itself and nobody else. (The room's turn still serialises what changes the room.)
//! Never: decides whether an event is allowed; that is [`ReceivedEvents`]'s. What the queue holds is bounded in
//! bytes, for each server and in all. Main type: [`IncomingPdus`].

mod gaps;
mod history;
mod lanes;
pub mod limits;
mod other_servers;
mod places;
mod queue;
mod remote;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use ruma::{OwnedEventId, OwnedRoomId, RoomId, ServerName, UserId, room_version_rules::RoomVersionRules};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;

use self::{lanes::Lanes, places::FillingPlaces, queue::Queue};
use super::turns::RoomTurns;
use crate::{
    matrix::event::Event,
    rooms::{ReceivedEvents, RoomError, RoomServers, ServerAcls},
    storage::{ShortRoomId, StorageError},
    users::Clock,
};

pub use self::{
    other_servers::OtherServers,
    remote::{Answer, Between, BoxedAnswer, NoAnswer, RemoteEvents, StateIds},
};

/// Takes in what other servers push. Cheap to clone.
#[derive(Clone)]
pub struct IncomingPdus {
    inner: Arc<Inner>,
}

struct Inner {
    received: ReceivedEvents,
    acls: ServerAcls,
    servers: RoomServers,
    remote: Arc<dyn RemoteEvents>,
    clock: Clock,
    queue: Queue,
    lanes: Lanes,
    /// Places for work on the store: each holds one of the few threads for such work.
    working: Semaphore,
    /// Rooms whose history is being fetched.
    history_turns: RoomTurns,
    /// Places for filling gaps: each holds events in memory while it waits for other servers.
    filling: FillingPlaces,
    /// Places for fetching history.
    history_places: Semaphore,
    /// Places for fetching whole states, which are held in memory.
    whole_states: Semaphore,
}

impl std::fmt::Debug for IncomingPdus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IncomingPdus").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}

/// Why the work on received events failed for this server's own reasons.
#[derive(Debug, thiserror::Error)]
pub enum IncomingError {
    /// The rooms' services failed.
    #[error(transparent)]
    Rooms(#[from] RoomError),
    /// The thread that did the work ended.
    #[error("the work was given up: the server is stopping")]
    GivenUp,
}

impl From<StorageError> for IncomingError {
    fn from(error: StorageError) -> Self {
        Self::Rooms(error.into())
    }
}

/// A PDU that may be queued.
struct Acceptable {
    event_id: OwnedEventId,
    room_id: OwnedRoomId,
    pdu: Box<RawValue>,
}

impl IncomingPdus {
    /// Takes PDUs of rooms into `received`, and asks `remote` for what they lack. What an earlier process left
    /// in the queue is worked off after [`resume`](Self::resume).
    pub fn new(
        received: ReceivedEvents,
        acls: ServerAcls,
        servers: RoomServers,
        remote: Arc<dyn RemoteEvents>,
        clock: Clock,
    ) -> Result<Self, StorageError> {
        let queue = Queue::load(received.appender().storage().clone())?;
        let inner = Inner {
            received,
            acls,
            servers,
            remote,
            clock,
            queue,
            lanes: Lanes::default(),
            working: Semaphore::new(limits::INBOUND_WORKING_MAX),
            history_turns: RoomTurns::default(),
            filling: FillingPlaces::default(),
            history_places: Semaphore::new(limits::HISTORIES_MAX),
            whole_states: Semaphore::new(limits::INBOUND_WHOLE_STATES_MAX),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The service of a server that talks to no other, for tests of what needs none.
    #[cfg(test)]
    pub(crate) fn alone(received: ReceivedEvents) -> Self {
        let own = super::testing::Own::configured(|config| config.federation.enabled = false);
        let appender = received.appender().clone();
        let acls =
            ServerAcls::new(appender.index().clone(), appender.events().clone(), appender.states().clone());
        let servers = RoomServers::new(appender.storage().clone());
        let others = Arc::new(OtherServers::new(own.client, own.keys));
        Self::new(received, acls, servers, others, Clock::manual(1).0).unwrap()
    }

    /// Goes on with what an earlier process left in the queue. Call once, on the runtime.
    pub fn resume(&self) {
        for (room_id, origin, number) in self.inner.queue.take_left() {
            self.enqueue(room_id, origin, number);
        }
    }

    /// How many PDUs wait to be worked off.
    pub fn waiting(&self) -> usize {
        self.inner.queue.len()
    }

    /// Takes the PDUs of a transaction of `origin`. When this answers, those with `Ok` survive a crash and will
    /// be worked off; an error is a sentence for the other server. What is so malformed that it has no event
    /// ID, and what is of a room that this server is not in, is left out of the answer.
    pub async fn submit(
        &self,
        origin: &ServerName,
        pdus: Vec<Box<RawValue>>,
    ) -> BTreeMap<OwnedEventId, Result<(), String>> {
        let (this, sender) = (self.clone(), origin.to_owned());
        let submitted = tokio::task::spawn_blocking(move || this.queue_all(&sender, pdus)).await;
        let Ok((mut outcomes, queued)) = submitted else { return BTreeMap::new() };
        if let Err(error) = self.inner.received.appender().storage().durable().await {
            tracing::error!("received events could not be kept: {error}");
            for outcome in outcomes.values_mut() {
                *outcome = Err("the server could not keep it".to_owned());
            }
        }
        for (room_id, number) in queued {
            self.enqueue(room_id, origin.to_owned(), number);
        }
        outcomes
    }

    #[allow(clippy::type_complexity, reason = "outcomes, and what was queued; used once, above")]
    fn queue_all(
        &self,
        origin: &ServerName,
        pdus: Vec<Box<RawValue>>,
    ) -> (BTreeMap<OwnedEventId, Result<(), String>>, Vec<(OwnedRoomId, u64)>) {
        let mut outcomes = BTreeMap::new();
        let mut acceptable = Vec::new();
        for pdu in pdus.into_iter().take(limits::TRANSACTION_PDUS_MAX) {
            match self.look_at(origin, pdu) {
                Ok(Looked::At(new)) => acceptable.push(new),
                Ok(Looked::Known(event_id)) => {
                    outcomes.insert(event_id, Ok(()));
                }
                Ok(Looked::Refused(event_id, why)) => {
                    outcomes.insert(event_id, Err(why));
                }
                Ok(Looked::Dropped(why)) => tracing::debug!(%origin, "a PDU is dropped: {why}"),
                Err(error) => tracing::error!(%origin, "a PDU could not be looked at: {error}"),
            }
        }
        let now_ms = self.inner.clock.now_ms();
        let mut queued = Vec::with_capacity(acceptable.len());
        let rows = acceptable.iter().map(|new| (&*new.room_id, new.pdu.get()));
        match self.inner.queue.push(origin, now_ms, rows) {
            Ok(numbers) => {
                for (new, number) in acceptable.into_iter().zip(numbers) {
                    let outcome = number.map(|number| queued.push((new.room_id, number)));
                    let full = || "too many events of your server wait to be worked off".to_owned();
                    outcomes.insert(new.event_id, outcome.ok_or_else(full));
                }
            }
            Err(error) => {
                tracing::error!(%origin, "received events could not be queued: {error}");
                for new in acceptable {
                    outcomes.insert(new.event_id, Err("the server could not keep it".to_owned()));
                }
            }
        }
        (outcomes, queued)
    }

    /// What can be said of a PDU before any look-up of keys: check 1 on receipt, whether the room takes it.
    fn look_at(&self, origin: &ServerName, pdu: Box<RawValue>) -> Result<Looked, RoomError> {
        #[derive(Deserialize)]
        struct InRoom {
            room_id: OwnedRoomId,
        }
        if pdu.get().len() > limits::INBOUND_PDU_TEXT_BYTES_MAX {
            return Ok(Looked::Dropped("it is too large".to_owned()));
        }
        // The create event of room version 12 names no room; nobody is in a room without having it.
        let room_id = match serde_json::from_str::<InRoom>(pdu.get()) {
            Ok(in_room) => in_room.room_id,
            Err(error) => return Ok(Looked::Dropped(format!("it names no room: {error}"))),
        };
        let Some(ThisRoom { room, rules, is_here, is_coming }) = self.inner.room(&room_id)? else {
            return Ok(Looked::Dropped(format!("room {room_id} is not known")));
        };
        let event = match Event::from_pdu(pdu.get().as_bytes(), &rules) {
            Ok(event) => event,
            Err(error) => return Ok(Looked::Dropped(error.to_string())),
        };
        let event_id = event.event_id().to_owned();
        if !(is_here || is_coming || self.inner.is_about_a_user_here(&event)) {
            return Ok(Looked::Dropped(format!("this server is not in room {room_id}")));
        }
        if is_here && !self.inner.acls.allows(origin, room)? {
            return Ok(Looked::Refused(event_id, "your server is not allowed in this room".to_owned()));
        }
        if self.inner.received.is_known(&event)? {
            return Ok(Looked::Known(event_id));
        }
        Ok(Looked::At(Acceptable { event_id, room_id, pdu }))
    }

    /// Waits until nothing is being worked off.
    #[cfg(test)]
    pub(crate) async fn settled(&self) {
        while self.waiting() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// A room that this server knows.
struct ThisRoom {
    room: ShortRoomId,
    rules: RoomVersionRules,
    /// Whether a user here is joined.
    is_here: bool,
    /// Whether it is being taken in from another server, which may push events already.
    is_coming: bool,
}

/// A first look at a PDU.
enum Looked {
    At(Acceptable),
    Known(OwnedEventId),
    Refused(OwnedEventId, String),
    Dropped(String),
}

impl Inner {
    /// A room that this server is in, or knows from an invite.
    fn room(&self, room_id: &RoomId) -> Result<Option<ThisRoom>, RoomError> {
        let appender = self.received.appender();
        let index = appender.index();
        let Some(room) = index.room(room_id)? else { return Ok(None) };
        let is_here = self.servers.is_in_room(room, appender.server_name())?;
        let is_entered = index.head(room)?.is_some_and(|head| !head.extremities.is_empty());
        let has_create_event = index.record(room)?.is_some_and(|record| record.create_event.0 != 0);
        Ok(Some(ThisRoom {
            room,
            rules: index.rules(room)?,
            is_here: is_here && is_entered,
            is_coming: has_create_event && !is_entered,
        }))
    }

    /// Whether an event is the membership of a user here: of rooms that this server is not in, others only
    /// tell that an invite is taken back.
    fn is_about_a_user_here(&self, event: &Event) -> bool {
        let server = self.received.appender().server_name();
        let target = event.state_key().and_then(|key| <&UserId>::try_from(key).ok());
        event.event_type() == "m.room.member" && target.is_some_and(|target| target.server_name() == server)
    }

    /// Runs work on the store, off the runtime's threads, with few others at a time.
    async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, RoomError> + Send + 'static,
    ) -> Result<T, IncomingError> {
        let _place = self.working.acquire().await.map_err(|_| IncomingError::GivenUp)?;
        let inner = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&inner)).await;
        Ok(done.map_err(|_| IncomingError::GivenUp)??)
    }
}
