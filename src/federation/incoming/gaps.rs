//! Filling the gap before an event: its ancestors by `/get_missing_events`, and where there are too many or
//! nobody has them, the state before it by `/state_ids`.
//!
//! Nothing that another server answers is believed: each event is verified and goes through the checks on
//! receipt, and only events that are needed are taken. Rounds, events and time are bounded; a chain of ancestors
//! without end costs those bounds, once for each event that is pushed.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use ruma::{OwnedEventId, OwnedServerName, RoomId, ServerName, room_version_rules::RoomVersionRules};
use serde_json::value::RawValue;
use tokio::task::JoinSet;

use super::{
    IncomingError, Inner,
    lanes::tell,
    limits,
    remote::{Between, NoAnswer},
};
use crate::{
    matrix::event::Event,
    rooms::{Reception, RoomError},
    storage::Read,
};

/// What came of an attempt.
pub(super) enum Filled {
    /// The event was taken in.
    Done,
    /// Nobody has what it lacks.
    Impossible(String),
    /// Other servers could not be reached.
    Unreachable(String),
}

/// One attempt.
pub(super) struct Filling<'f> {
    pub(super) inner: &'f Arc<Inner>,
    rules: &'f RoomVersionRules,
    pub(super) room_id: &'f RoomId,
    /// Servers to ask, the one that pushed the event first.
    servers: Vec<OwnedServerName>,
    /// The event and those of its ancestors that have been fetched and are not taken in.
    pub(super) pending: BTreeMap<OwnedEventId, Event>,
    /// Events whose auth chains have been asked for.
    authorised: HashSet<OwnedEventId>,
    fetched: usize,
    /// Ancestors from before this server was in the room are not fetched.
    min_depth: u64,
    last_outage: Option<String>,
    /// Servers that have told all ancestors that they will tell: fewer than were asked for.
    told_all: HashSet<OwnedServerName>,
}

/// What came of taking in the events that one follows by the states before them.
enum ByAncestors {
    Done,
    /// They are there, but what allows them is not.
    Unusable,
    NotToBeHad,
}

/// What is still lacking after a pass over the pending events.
#[derive(Default)]
struct Lacking {
    /// Missing ancestors, and the pending events that follow them.
    prev_events: BTreeSet<OwnedEventId>,
    followers: BTreeSet<OwnedEventId>,
    /// Pending events of which auth events are missing.
    unauthorised: BTreeSet<OwnedEventId>,
    progressed: bool,
}

impl Inner {
    /// Fetches what `event` lacks and takes all of it in.
    pub(super) async fn fill(
        self: &Arc<Self>,
        origin: &ServerName,
        event: Event,
        rules: &RoomVersionRules,
    ) -> Result<Filled, IncomingError> {
        let room_id = event.room_id().to_owned();
        let wanted = event.event_id().to_owned();
        let (pushed_by, pushed) = (origin.to_owned(), event.clone());
        let (servers, min_depth) = self
            .work(move |inner| {
                let servers = inner.servers_to_ask(&pushed_by, &pushed)?;
                Ok((servers, inner.received.first_depth(pushed.room_id())?))
            })
            .await?;
        let mut filling = Filling::new(self, rules, &room_id, servers);
        filling.min_depth = min_depth;
        filling.pending.insert(wanted.clone(), event);
        filling.by_ancestors().await?;
        // Whoever pushes an event has those that it follows. If they are kept from this server, the state before the
        // event is not believed either: what follows it later is asked for again.
        let is_withheld = filling.fetched == 0 && !filling.told_all.is_empty();
        if filling.pending.contains_key(&wanted) && !is_withheld {
            filling.by_states().await?;
        }
        Ok(match (filling.pending.contains_key(&wanted), filling.last_outage) {
            (false, _) => Filled::Done,
            (true, Some(why)) => Filled::Unreachable(why),
            (true, None) => Filled::Impossible(format!("nobody has what {wanted} lacks")),
        })
    }

    /// Whom to ask: who pushed the event, whose it is, and a few others in the room.
    fn servers_to_ask(&self, origin: &ServerName, event: &Event) -> Result<Vec<OwnedServerName>, RoomError> {
        let appender = self.received.appender();
        let mut servers = vec![origin.to_owned()];
        let mut add = |server: &ServerName| {
            if servers.len() < limits::INBOUND_SERVERS_ASKED_MAX
                && *server != *appender.server_name()
                && !servers.iter().any(|known| known == server)
            {
                servers.push(server.to_owned());
            }
        };
        add(event.sender().server_name());
        if let Some(room) = appender.index().room(event.room_id())? {
            for server in self.servers.servers(room).take(limits::INBOUND_SERVERS_ASKED_MAX + 1) {
                add(&server?);
            }
        }
        Ok(servers)
    }
}

impl<'f> Filling<'f> {
    /// An attempt in which nothing is pending, and ancestors of any depth are wanted.
    pub(super) fn new(
        inner: &'f Arc<Inner>,
        rules: &'f RoomVersionRules,
        room_id: &'f RoomId,
        servers: Vec<OwnedServerName>,
    ) -> Self {
        Self {
            inner,
            rules,
            room_id,
            servers,
            pending: BTreeMap::new(),
            authorised: HashSet::new(),
            fetched: 0,
            min_depth: 0,
            last_outage: None,
            told_all: HashSet::new(),
        }
    }
}

impl Filling<'_> {
    /// Takes in what can be, and fetches ancestors of the rest, round by round.
    async fn by_ancestors(&mut self) -> Result<(), IncomingError> {
        for _ in 0..limits::INBOUND_ROUNDS_MAX {
            let lacking = self.take_in().await?;
            if self.pending.is_empty() {
                return Ok(());
            }
            let authorised = self.authorise(&lacking.unauthorised).await?;
            let fetched = self.fetch_ancestors(&lacking).await?;
            if !(authorised || fetched || lacking.progressed) {
                return Ok(());
            }
        }
        self.take_in().await?;
        Ok(())
    }

    /// Receives the pending events, ancestors first, and says what is lacking for the rest.
    async fn take_in(&mut self) -> Result<Lacking, IncomingError> {
        let mut lacking = Lacking::default();
        for event_id in ancestors_first(&self.pending) {
            let Some(event) = self.pending.get(&event_id).cloned() else { continue };
            let received = event.clone();
            match self.inner.work(move |inner| inner.received.receive(received)).await? {
                Reception::Missing { prev_events, auth_events } => {
                    let unknown = prev_events.into_iter().filter(|id| !self.pending.contains_key(id));
                    let unknown: Vec<_> = unknown.collect();
                    if !unknown.is_empty() {
                        lacking.followers.insert(event_id.clone());
                        lacking.prev_events.extend(unknown);
                    }
                    if !auth_events.is_empty() {
                        lacking.unauthorised.insert(event_id);
                    }
                }
                reception => {
                    tell(&event, &reception);
                    self.pending.remove(&event_id);
                    lacking.progressed = true;
                }
            }
        }
        Ok(lacking)
    }

    /// Fetches the auth chains of events whose auth events are missing; true if anything came of it.
    pub(super) async fn authorise(&mut self, events: &BTreeSet<OwnedEventId>) -> Result<bool, IncomingError> {
        let mut progressed = false;
        for event_id in events {
            if self.authorised.len() >= limits::INBOUND_AUTH_CHAINS_MAX
                || !self.authorised.insert(event_id.clone())
            {
                continue;
            }
            let inner = self.inner;
            for server in self.servers.clone() {
                match inner.remote.event_auth(&server, self.room_id, event_id).await {
                    Ok(chain) => {
                        self.keep_outliers(chain).await?;
                        progressed = true;
                        break;
                    }
                    Err(error) => self.note(error),
                }
            }
        }
        Ok(progressed)
    }

    /// Asks for the ancestors that are lacking; true if there are new ones.
    async fn fetch_ancestors(&mut self, lacking: &Lacking) -> Result<bool, IncomingError> {
        let recent =
            |id: &&OwnedEventId| self.pending.get(*id).is_some_and(|event| event.depth() > self.min_depth);
        let latest: Vec<OwnedEventId> =
            lacking.followers.iter().filter(recent).take(limits::INBOUND_LATEST_MAX).cloned().collect();
        if latest.is_empty() || self.fetched >= limits::INBOUND_ANCESTORS_MAX {
            return Ok(false);
        }
        let (limit, min_depth) = (limits::INBOUND_ANCESTORS_PER_ROUND, self.min_depth);
        let between = Between { earliest: self.ends().await?, latest, limit, min_depth };
        let inner = self.inner;
        for server in self.servers.clone() {
            if self.told_all.contains(&server) {
                continue;
            }
            match inner.remote.missing_events(&server, self.room_id, between.clone()).await {
                Ok(pdus) => {
                    if pdus.len() < limit as usize {
                        self.told_all.insert(server);
                    }
                    if self.take_ancestors(pdus, limit, &lacking.prev_events).await? {
                        return Ok(true);
                    }
                }
                Err(error) => self.note(error),
            }
        }
        Ok(false)
    }

    /// Takes those of the events that are ancestors of pending ones.
    pub(super) async fn take_ancestors(
        &mut self,
        pdus: Vec<Box<RawValue>>,
        limit: u32,
        wanted: &BTreeSet<OwnedEventId>,
    ) -> Result<bool, IncomingError> {
        let mut answered: BTreeMap<OwnedEventId, Event> = self.verified(pdus, limit as usize).await;
        let mut open: Vec<OwnedEventId> = wanted.iter().cloned().collect();
        let mut progressed = false;
        while let Some(event_id) = open.pop() {
            let Some(event) = answered.remove(&event_id) else { continue };
            if event.depth() < self.min_depth {
                continue;
            }
            if self.fetched >= limits::INBOUND_ANCESTORS_MAX {
                break;
            }
            open.extend_from_slice(event.prev_events());
            self.fetched += 1;
            self.pending.insert(event_id, event);
            progressed = true;
        }
        Ok(progressed)
    }

    /// Takes in what still lacks ancestors by states, the oldest first.
    async fn by_states(&mut self) -> Result<(), IncomingError> {
        for _ in 0..limits::INBOUND_STATES_MAX {
            let lacking = self.take_in().await?;
            let oldest = ancestors_first(&self.pending).into_iter().find(|id| lacking.followers.contains(id));
            let Some(oldest) = oldest else { return Ok(()) };
            let is_taken_in = match self.by_ancestors_states(&oldest, &lacking.prev_events).await? {
                ByAncestors::Done => true,
                ByAncestors::Unusable => false,
                ByAncestors::NotToBeHad => self.by_state(&oldest).await?,
            };
            if !is_taken_in {
                return Ok(());
            }
        }
        self.take_in().await?;
        Ok(())
    }

    /// Fetches the missing events that one follows, and takes them in by the states before them: what the branches
    /// come to is then resolved here, and not taken from another server.
    async fn by_ancestors_states(
        &mut self,
        event_id: &OwnedEventId,
        missing: &BTreeSet<OwnedEventId>,
    ) -> Result<ByAncestors, IncomingError> {
        let prev_events = self.pending.get(event_id).map(|event| event.prev_events().to_vec());
        let missing: Vec<OwnedEventId> =
            prev_events.unwrap_or_default().into_iter().filter(|id| missing.contains(id)).collect();
        if missing.len() > limits::INBOUND_STATES_MAX {
            return Ok(ByAncestors::NotToBeHad);
        }
        for missing in &missing {
            let Some(event) = self.fetch(missing).await? else { return Ok(ByAncestors::NotToBeHad) };
            self.pending.insert(missing.clone(), event);
        }
        for missing in &missing {
            if !self.by_state(missing).await? {
                return Ok(ByAncestors::Unusable);
            }
        }
        Ok(ByAncestors::Done)
    }

    /// Fetches one event.
    async fn fetch(&mut self, event_id: &OwnedEventId) -> Result<Option<Event>, IncomingError> {
        let inner = self.inner;
        for server in self.servers.clone() {
            match inner.remote.event(&server, event_id).await {
                Ok(pdu) => {
                    if let Some(event) = self.verified(vec![pdu], 1).await.remove(event_id) {
                        return Ok(Some(event));
                    }
                }
                Err(error) => self.note(error),
            }
        }
        Ok(None)
    }

    /// Takes in one event by the state before it; false if no server gives that.
    async fn by_state(&mut self, event_id: &OwnedEventId) -> Result<bool, IncomingError> {
        let inner = self.inner;
        for server in self.servers.clone() {
            let mut ids = match inner.remote.state_ids(&server, self.room_id, event_id).await {
                Ok(ids) => ids,
                Err(error) => {
                    self.note(error);
                    continue;
                }
            };
            ids.state.truncate(limits::INBOUND_STATE_EVENTS_MAX);
            ids.auth_chain.truncate(limits::INBOUND_STATE_EVENTS_MAX);
            if !self.fetch_state(&server, event_id, &ids.state, &ids.auth_chain).await? {
                continue;
            }
            let Some(event) = self.pending.get(event_id).cloned() else { return Ok(true) };
            let (received, known) = (event.clone(), ids.state);
            let reception = inner.work(move |inner| {
                // What could not be had, or is allowed by nothing, is no part of the state.
                let known = inner.received.known_outliers(known)?;
                inner.received.receive_with_state(received, &known)
            });
            match reception.await? {
                Reception::Missing { auth_events, .. } => {
                    tracing::debug!(%event_id, ?auth_events, "a state that was given is not enough");
                }
                reception => {
                    tell(&event, &reception);
                    self.pending.remove(event_id);
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Fetches those events of a state and its auth chain that are not known: one by one if they are few,
    /// otherwise all at once. False if the server could not be asked for all of them: against a part of the state
    /// the event would be rejected for good.
    pub(super) async fn fetch_state(
        &mut self,
        server: &ServerName,
        event_id: &OwnedEventId,
        state: &[OwnedEventId],
        auth_chain: &[OwnedEventId],
    ) -> Result<bool, IncomingError> {
        // The event's own auth events need not be in the state.
        let own = self.pending.get(event_id).map(|event| event.auth_events().to_vec()).unwrap_or_default();
        let named: BTreeSet<OwnedEventId> = state.iter().chain(auth_chain).chain(&own).cloned().collect();
        let unknown = self.inner.work(move |inner| {
            let mut unknown = BTreeSet::new();
            for id in named {
                if !inner.received.is_stored(&id)? {
                    unknown.insert(id);
                }
            }
            Ok(unknown)
        });
        let wanted = unknown.await?;
        let inner = self.inner;
        if wanted.len() <= limits::INBOUND_SINGLE_EVENTS_MAX {
            let (pdus, outage) = fetch_singly(inner, server, wanted).await;
            let is_whole = outage.is_none();
            if let Some(error) = outage {
                self.note(error);
            }
            self.keep_outliers(pdus).await?;
            return Ok(is_whole);
        }
        let _place = inner.whole_states.acquire().await.map_err(|_| IncomingError::GivenUp)?;
        match inner.remote.state(server, self.room_id, event_id).await {
            Ok(pdus) => {
                self.keep_outliers(pdus).await?;
                Ok(true)
            }
            Err(error) => {
                self.note(error);
                Ok(false)
            }
        }
    }

    /// Verifies events and keeps them as outliers.
    async fn keep_outliers(&mut self, pdus: Vec<Box<RawValue>>) -> Result<(), IncomingError> {
        let events: Vec<Event> =
            self.verified(pdus, 2 * limits::INBOUND_STATE_EVENTS_MAX).await.into_values().collect();
        let room_id = self.room_id.to_owned();
        self.inner
            .work(move |inner| {
                let index = inner.received.appender().index();
                let room = index.room(&room_id)?.ok_or_else(|| RoomError::RoomNotFound(room_id.clone()))?;
                let record = index.record(room)?.ok_or_else(|| RoomError::RoomNotFound(room_id.clone()))?;
                inner.received.store_outliers(&room_id, &record.version, events)
            })
            .await?;
        Ok(())
    }

    /// The good ones among events, at most `limit`, of this room only.
    async fn verified(&self, mut pdus: Vec<Box<RawValue>>, limit: usize) -> BTreeMap<OwnedEventId, Event> {
        pdus.truncate(limit);
        pdus.retain(|pdu| pdu.get().len() <= limits::INBOUND_PDU_TEXT_BYTES_MAX);
        let verified = self.inner.remote.verify(pdus, self.rules).await;
        let mut events = BTreeMap::new();
        for outcome in verified {
            match outcome {
                Ok(event) if event.room_id() == self.room_id => {
                    events.insert(event.event_id().to_owned(), event);
                }
                Ok(event) => tracing::debug!(event_id = %event.event_id(), "of another room than asked for"),
                Err(why) => tracing::debug!("a fetched event is dropped: {why}"),
            }
        }
        events
    }

    /// The room's ends: where another server may stop looking.
    async fn ends(&self) -> Result<Vec<OwnedEventId>, IncomingError> {
        let room_id = self.room_id.to_owned();
        let ends = self.inner.work(move |inner| {
            let appender = inner.received.appender();
            let Some(room) = appender.index().room(&room_id)? else { return Ok(Vec::new()) };
            let ends = appender.index().head(room)?.map(|head| head.extremities).unwrap_or_default();
            let storage = appender.storage();
            let ends = ends.into_iter().take(limits::INBOUND_LATEST_MAX);
            Ok(ends.map(|end| storage.event_id(end)).collect::<Result<_, _>>()?)
        });
        ends.await
    }

    pub(super) fn note(&mut self, error: NoAnswer) {
        tracing::debug!(room = %self.room_id, "another server gives no answer: {}", error.why);
        if error.is_outage {
            self.last_outage = Some(error.why);
        }
    }
}

/// Fetches events by their ids, a few at a time. Those that the server does not have are left out; the error says
/// that it could not be asked for some.
async fn fetch_singly(
    inner: &Arc<Inner>,
    server: &ServerName,
    wanted: BTreeSet<OwnedEventId>,
) -> (Vec<Box<RawValue>>, Option<NoAnswer>) {
    let mut found = Vec::with_capacity(wanted.len());
    let mut outage = None;
    let mut asking = JoinSet::new();
    let mut wanted = wanted.into_iter();
    loop {
        while asking.len() < limits::INBOUND_SINGLE_AT_ONCE
            && let Some(event_id) = wanted.next()
        {
            let (remote, server) = (inner.remote.clone(), server.to_owned());
            asking.spawn(async move { remote.event(&server, &event_id).await });
        }
        match asking.join_next().await {
            Some(Ok(Ok(pdu))) => found.push(pdu),
            Some(Ok(Err(error))) if error.is_outage => outage = Some(error),
            Some(Ok(Err(_)) | Err(_)) => {}
            None => return (found, outage),
        }
    }
}

/// The ids of events in an order in which those among them that an event follows come before it. Events that
/// follow each other in a circle, which no honest ones can, come in any order.
fn ancestors_first(events: &BTreeMap<OwnedEventId, Event>) -> Vec<OwnedEventId> {
    let mut ordered = Vec::with_capacity(events.len());
    let mut entered: HashSet<&OwnedEventId> = HashSet::new();
    for start in events.keys() {
        // Each with the ancestors that are still to be looked at; a stack of its own, as depth is the
        // sender's choice.
        let mut path: Vec<(&OwnedEventId, &[OwnedEventId])> = Vec::new();
        if let (true, Some(event)) = (entered.insert(start), events.get(start)) {
            path.push((start, event.prev_events()));
        }
        while let Some((id, left)) = path.pop() {
            let Some((next, left)) = left.split_first() else {
                ordered.push(id.clone());
                continue;
            };
            path.push((id, left));
            if let Some((next, event)) = events.get_key_value(next)
                && entered.insert(next)
            {
                path.push((next, event.prev_events()));
            }
        }
    }
    ordered
}
