//! Joining a room: here if this server is in it, else through a server that is ([joining rooms]).
//!
//! [joining rooms]: https://spec.matrix.org/v1.19/server-server-api/#joining-rooms

use std::{collections::HashSet, time::Instant};

use ruma::{OwnedServerName, ServerName, api::federation::membership::create_join_event};
use serde_json::value::RawValue;

use super::{OwnChange, RemoteError, RemoteRooms, Version, attempt::carry_on, blocking};
use crate::{
    federation::SendOptions,
    matrix::event::Event,
    rooms::{RoomError, resident::TemplateKind},
};

/// What can be done from here.
enum FromHere {
    /// The user is in the room.
    Joined,
    /// Other servers must be asked.
    Ask(Vec<OwnedServerName>),
}

impl RemoteRooms {
    /// The user joins the room. A join through another server goes on when its caller is given up.
    pub async fn join(&self, change: OwnChange) -> Result<(), RemoteError> {
        self.check_block(&change).await?;
        if matches!(self.join_from_here(&change).await?, FromHere::Joined) {
            return Ok(());
        }
        let rooms = self.clone();
        carry_on(async move {
            let _turn = rooms.0.turns.enter(&change.room_id).await;
            match rooms.join_from_here(&change).await? {
                FromHere::Joined => Ok(()),
                FromHere::Ask(servers) => rooms.through_any(TemplateKind::Join, &change, servers).await,
            }
        })
        .await
    }

    async fn join_from_here(&self, change: &OwnChange) -> Result<FromHere, RemoteError> {
        let (rooms, change) = (self.clone(), change.clone());
        blocking(move || rooms.try_from_here(&change)).await
    }

    fn try_from_here(&self, change: &OwnChange) -> Result<FromHere, RoomError> {
        let OwnChange { user, room_id, via, further } = change;
        let is_resident = self.is_resident(room_id)?;
        if !is_resident {
            let servers = self.candidates(user, room_id, via, false)?;
            if !servers.is_empty() {
                return Ok(FromHere::Ask(servers));
            }
        }
        match self.0.memberships.join_with(user, room_id, further.clone()) {
            Ok(()) => Ok(FromHere::Joined),
            // Somebody elsewhere may know, or have the power.
            Err(RoomError::CannotAuthoriseJoin | RoomError::CannotGrantJoin) if is_resident => {
                match self.candidates(user, room_id, via, true)? {
                    servers if servers.is_empty() => {
                        let problem = "No server is left whose users could let you into this room";
                        Err(RoomError::Forbidden(problem.to_owned()))
                    }
                    servers => Ok(FromHere::Ask(servers)),
                }
            }
            Err(error) => Err(error),
        }
    }

    pub(super) async fn join_through(
        &self,
        server: &ServerName,
        change: &OwnChange,
    ) -> Result<(), RemoteError> {
        let started = Instant::now();
        let (version, join) = self.make(TemplateKind::Join, server, change).await?;
        let pdu = join.to_raw_pdu().map_err(|e| RemoteError::Invalid(e.to_string()))?;
        let (room_id, event_id) = (change.room_id.clone(), join.event_id().to_owned());
        let request = create_join_event::v2::Request::new(room_id, event_id, pdu);
        let answer = self.0.client.send_with(server, request, SendOptions::STATE.insisting()).await;
        let answer = answer.map_err(RemoteError::of)?.room_state;
        let entries = answer.state.len();
        tracing::info!(
            room = %change.room_id, %server, entries, seconds = started.elapsed().as_secs(),
            "a server let us in; checking its state"
        );
        let join = self.signed_by_both(join, answer.event, &version).await?;
        self.take_in(&version, answer.state, answer.auth_chain, join).await?;
        tracing::info!(
            room = %change.room_id, %server, entries, seconds = started.elapsed().as_secs(), "joined a room"
        );
        Ok(())
    }

    /// The join as the other server has it: with its signature, where its user lets ours in.
    async fn signed_by_both(
        &self,
        join: Event,
        signed: Option<Box<RawValue>>,
        version: &Version,
    ) -> Result<Event, RemoteError> {
        let Some(signed) = signed else { return Ok(join) };
        match self.0.keys.verify_event(signed, &version.rules).await {
            Ok(signed) if signed.event_id() == join.event_id() => Ok(signed),
            Ok(_) => Err(RemoteError::Invalid("it signed another event than our join".to_owned())),
            Err(error) => Err(RemoteError::Invalid(format!("its copy of our join is wrong: {error}"))),
        }
    }

    /// Verifies the state and its auth chain, and makes them the room's. Events that are not signed as they must
    /// be are left out.
    async fn take_in(
        &self,
        version: &Version,
        state: Vec<Box<RawValue>>,
        mut auth_chain: Vec<Box<RawValue>>,
        join: Event,
    ) -> Result<(), RemoteError> {
        // Most of the auth chain is in the state as well: once is enough.
        let texts: HashSet<&str> = state.iter().map(|event| event.get()).collect();
        auth_chain.retain(|event| !texts.contains(event.get()));
        drop(texts);
        let state = self.verified(state, version).await;
        let auth_chain = self.verified(auth_chain, version).await;
        let (received, id) = (self.0.received.clone(), version.id.clone());
        let imported = blocking(move || received.import_room(&id, state, auth_chain, join).map(drop)).await;
        imported.map_err(|error| match error {
            RemoteError::Room(error) if error.is_callers() => {
                RemoteError::Invalid(format!("the state that it gave does not hold: {error}"))
            }
            other => other,
        })
    }

    async fn verified(&self, events: Vec<Box<RawValue>>, version: &Version) -> Vec<Event> {
        let verified = self.0.keys.verify_events(events, &version.rules).await;
        let mut refused = 0;
        let events: Vec<Event> = verified
            .into_iter()
            .filter_map(|outcome| {
                outcome
                    .inspect_err(|error| {
                        refused += 1;
                        tracing::debug!("an event of a room's state is left out: {error}");
                    })
                    .ok()
            })
            .collect();
        if refused > 0 {
            tracing::warn!(refused, "events of a room's state could not be verified");
        }
        events
    }
}
