//! The questions of gaps, asked of real servers.

use ruma::{
    EventId, OwnedEventId, RoomId, ServerName, UInt,
    api::federation::{
        authorization::get_event_authorization,
        backfill::get_backfill,
        event::{get_event, get_missing_events, get_room_state, get_room_state_ids},
    },
    room_version_rules::RoomVersionRules,
};
use serde_json::value::RawValue;

use super::{Answer, Between, BoxedAnswer, NoAnswer, RemoteEvents, StateIds, limits};
use crate::{
    federation::{FederationClient, FederationError, SendOptions, ServerKeys},
    matrix::event::Event,
};

/// Asks other servers, and verifies what they answer.
#[derive(Debug, Clone)]
pub struct OtherServers {
    client: FederationClient,
    keys: ServerKeys,
}

impl OtherServers {
    /// Asks with `client`, verifies with `keys`.
    pub fn new(client: FederationClient, keys: ServerKeys) -> Self {
        Self { client, keys }
    }
}

impl From<FederationError> for NoAnswer {
    fn from(error: FederationError) -> Self {
        Self { is_outage: error.is_outage() || error.is_throttled(), why: error.to_string() }
    }
}

/// For answers with a whole state.
const STATE: SendOptions = SendOptions { bytes_max: limits::INBOUND_STATE_BYTES_MAX, ..SendOptions::STATE };

impl RemoteEvents for OtherServers {
    fn missing_events<'a>(
        &'a self,
        server: &'a ServerName,
        room_id: &'a RoomId,
        between: Between,
    ) -> BoxedAnswer<'a, Answer<Vec<Box<RawValue>>>> {
        Box::pin(async move {
            let Between { earliest, latest, limit, min_depth } = between;
            let mut request = get_missing_events::v1::Request::new(room_id.to_owned(), earliest, latest);
            request.limit = limit.into();
            request.min_depth = UInt::new_saturating(min_depth);
            match self.client.send(server, request).await {
                Ok(answer) => Ok(answer.events),
                // The server was there, and has told no event.
                Err(FederationError::BadAnswer(why)) => {
                    tracing::debug!(%server, room = %room_id, "an answer with missing events: {why}");
                    Ok(Vec::new())
                }
                Err(error) => Err(error.into()),
            }
        })
    }

    fn history<'a>(
        &'a self,
        server: &'a ServerName,
        room_id: &'a RoomId,
        from: Vec<OwnedEventId>,
        limit: u32,
    ) -> BoxedAnswer<'a, Answer<Vec<Box<RawValue>>>> {
        Box::pin(async move {
            let request = get_backfill::v1::Request::new(room_id.to_owned(), from, limit.into());
            Ok(self.client.send(server, request).await?.pdus)
        })
    }

    fn state_ids<'a>(
        &'a self,
        server: &'a ServerName,
        room_id: &'a RoomId,
        event_id: &'a EventId,
    ) -> BoxedAnswer<'a, Answer<StateIds>> {
        Box::pin(async move {
            let request = get_room_state_ids::v1::Request::new(event_id.to_owned(), room_id.to_owned());
            let answer = self.client.send(server, request).await?;
            Ok(StateIds { state: answer.pdu_ids, auth_chain: answer.auth_chain_ids })
        })
    }

    fn state<'a>(
        &'a self,
        server: &'a ServerName,
        room_id: &'a RoomId,
        event_id: &'a EventId,
    ) -> BoxedAnswer<'a, Answer<Vec<Box<RawValue>>>> {
        Box::pin(async move {
            let request = get_room_state::v1::Request::new(event_id.to_owned(), room_id.to_owned());
            let answer = self.client.send_with(server, request, STATE).await?;
            let mut pdus = answer.auth_chain;
            pdus.extend(answer.pdus);
            Ok(pdus)
        })
    }

    fn event<'a>(
        &'a self,
        server: &'a ServerName,
        event_id: &'a EventId,
    ) -> BoxedAnswer<'a, Answer<Box<RawValue>>> {
        Box::pin(async move {
            let request = get_event::v1::Request::new(event_id.to_owned());
            Ok(self.client.send(server, request).await?.pdu)
        })
    }

    fn event_auth<'a>(
        &'a self,
        server: &'a ServerName,
        room_id: &'a RoomId,
        event_id: &'a EventId,
    ) -> BoxedAnswer<'a, Answer<Vec<Box<RawValue>>>> {
        Box::pin(async move {
            let request = get_event_authorization::v1::Request::new(room_id.to_owned(), event_id.to_owned());
            Ok(self.client.send(server, request).await?.auth_chain)
        })
    }

    fn verify<'a>(
        &'a self,
        pdus: Vec<Box<RawValue>>,
        rules: &'a RoomVersionRules,
    ) -> BoxedAnswer<'a, Vec<Result<Event, String>>> {
        Box::pin(async move {
            let verified = self.keys.verify_events(pdus, rules).await;
            verified.into_iter().map(|event| event.map_err(|error| error.to_string())).collect()
        })
    }
}
