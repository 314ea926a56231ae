//! History from before what this server has: a page of it by `/backfill`, when a reader has come to the end.
//!
//! As with gaps, each event is verified, checked, and taken only if the known part of the room leads to it; what
//! places the page (the state before its oldest event) is fetched as well. Bounded in servers, events, rounds and
//! time, with one attempt a room: whoever comes second finds what the first has brought.

use std::{collections::BTreeSet, sync::Arc};

use ruma::{OwnedEventId, OwnedServerName, RoomId, ServerName, room_version_rules::RoomVersionRules};

use super::{IncomingError, IncomingPdus, Inner, gaps::Filling, limits};
use crate::{
    matrix::event::Event,
    rooms::{Backfilled, GivenStates, RoomError},
    storage::TimelineKey,
};

/// Where a room's history ends, and who may have more.
struct End {
    rules: RoomVersionRules,
    /// Events that are named by known ones, and not known.
    missing: Vec<OwnedEventId>,
    servers: Vec<OwnedServerName>,
    oldest: TimelineKey,
}

impl IncomingPdus {
    /// Fetches a page of a room's history from before what this server has, if there is more and this server is
    /// in the room. True when clients can see more than before; failures are logged, and the reader has what
    /// there is.
    pub async fn fetch_history(&self, room_id: &RoomId) -> bool {
        let fetching = self.inner.fetch_history(room_id);
        match tokio::time::timeout(limits::HISTORY_TIME_MAX, fetching).await {
            Ok(Ok(is_more)) => is_more,
            Ok(Err(error)) => {
                tracing::warn!(room = %room_id, "history could not be fetched: {error}");
                false
            }
            Err(_) => {
                tracing::debug!(room = %room_id, "other servers take too long to tell history");
                false
            }
        }
    }
}

impl Inner {
    async fn fetch_history(self: &Arc<Self>, room_id: &RoomId) -> Result<bool, IncomingError> {
        let room = room_id.to_owned();
        let Some(before) = self.work(move |inner| inner.history_end(&room)).await? else { return Ok(false) };
        let _turn = self.history_turns.enter(room_id).await;
        let _place = self.history_places.acquire().await.map_err(|_| IncomingError::GivenUp)?;
        let room = room_id.to_owned();
        let Some(end) = self.work(move |inner| inner.history_end(&room)).await? else { return Ok(true) };
        if end.oldest != before.oldest {
            return Ok(true);
        }
        for server in &end.servers {
            // The one that answers is asked for what places its page, too.
            let mut filling = Filling::new(self, &end.rules, room_id, vec![server.clone()]);
            if filling.history_of(server, &end.missing).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The end of a room's history, if there is more before it and this server is in the room.
    fn history_end(&self, room_id: &RoomId) -> Result<Option<End>, RoomError> {
        let Some(this) = self.room(room_id)?.filter(|this| this.is_here) else { return Ok(None) };
        let missing = self.received.missing_history(room_id, limits::INBOUND_LATEST_MAX)?;
        if missing.is_empty() {
            return Ok(None);
        }
        let appender = self.received.appender();
        let mut servers = Vec::new();
        for server in self.servers.servers(this.room).take(limits::INBOUND_SERVERS_ASKED_MAX + 1) {
            let server = server?;
            if server != *appender.server_name() {
                servers.push(server);
            }
        }
        servers.truncate(limits::INBOUND_SERVERS_ASKED_MAX);
        let oldest = appender.index().head(this.room)?.map_or(TimelineKey(0), |head| head.oldest);
        let missing = missing.into_iter().map(|(missing, _)| missing).collect();
        Ok(Some(End { rules: this.rules, missing, servers, oldest }))
    }
}

impl Filling<'_> {
    /// Takes in a page of history that one server tells; true if clients can see more of it.
    async fn history_of(
        &mut self,
        server: &ServerName,
        missing: &[OwnedEventId],
    ) -> Result<bool, IncomingError> {
        let limit = limits::HISTORY_EVENTS_PER_REQUEST;
        let inner = self.inner;
        let pdus = match inner.remote.history(server, self.room_id, missing.to_vec(), limit).await {
            Ok(pdus) => pdus,
            Err(error) => {
                self.note(error);
                return Ok(false);
            }
        };
        if !self.take_ancestors(pdus, limit, &missing.iter().cloned().collect()).await? {
            return Ok(false);
        }
        let mut given = GivenStates::new();
        for _ in 0..limits::HISTORY_ROUNDS_MAX {
            let placed = self.place_history(&given).await?;
            if placed.appended > 0 {
                return Ok(true);
            }
            if let Some(event_id) = placed.needs_state {
                if given.contains_key(&event_id) || given.len() >= limits::INBOUND_STATES_MAX {
                    return Ok(false);
                }
                let Some(state) = self.state_before(server, &event_id).await? else { return Ok(false) };
                given.insert(event_id, state);
            } else if placed.missing.is_empty() || !self.authorise(&self.relying_on(&placed.missing)).await? {
                return Ok(false);
            }
        }
        Ok(false)
    }

    async fn place_history(&self, given: &GivenStates) -> Result<Backfilled, IncomingError> {
        let (room_id, given) = (self.room_id.to_owned(), given.clone());
        let events: Vec<Event> = self.pending.values().cloned().collect();
        self.inner.work(move |inner| inner.received.append_backfilled(&room_id, events, &given)).await
    }

    /// The state before an event as a server has it, its events kept; `None` if the server doesn't tell.
    async fn state_before(
        &mut self,
        server: &ServerName,
        event_id: &OwnedEventId,
    ) -> Result<Option<Vec<OwnedEventId>>, IncomingError> {
        let inner = self.inner;
        let mut ids = match inner.remote.state_ids(server, self.room_id, event_id).await {
            Ok(ids) => ids,
            Err(error) => {
                self.note(error);
                return Ok(None);
            }
        };
        ids.state.truncate(limits::INBOUND_STATE_EVENTS_MAX);
        ids.auth_chain.truncate(limits::INBOUND_STATE_EVENTS_MAX);
        if !self.fetch_state(server, event_id, &ids.state, &ids.auth_chain).await? {
            return Ok(None);
        }
        // What could not be had, or is allowed by nothing, is no part of the state.
        inner.work(move |inner| inner.received.known_outliers(ids.state)).await.map(Some)
    }

    /// The events of the page that name one of these auth events.
    fn relying_on(&self, auth_events: &[OwnedEventId]) -> BTreeSet<OwnedEventId> {
        let relies = |event: &&Event| event.auth_events().iter().any(|id| auth_events.contains(id));
        self.pending.values().filter(relies).map(|event| event.event_id().to_owned()).collect()
    }
}
