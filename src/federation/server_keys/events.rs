//! Verifying events from other servers: signatures and content hashes, many at a time, over all cores.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use ruma::{OwnedEventId, OwnedServerName, ServerName, room_version_rules::RoomVersionRules};
use serde_json::value::RawValue;
use tokio::{sync::Semaphore, task::JoinSet};

use super::{super::limits::VERIFY_CHUNK_EVENTS, KeysByServer, Need, ServerKeys, ServerKeysError};
use crate::matrix::{
    Event,
    event::EventFormatError,
    redaction::redact,
    signing::{
        KeyLookup, SignatureError, Verified, VerifyKey, servers_that_must_sign, signing_keys, verify_event,
    },
};

/// Why an event from another server is dropped (checks 1 and 2 on receipt of a PDU).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadEvent {
    /// Not in the format of the room's version.
    #[error(transparent)]
    Format(#[from] EventFormatError),
    /// Not signed as it must be.
    #[error("{event_id}: {source}")]
    Signature {
        /// The event.
        event_id: OwnedEventId,
        /// What is wrong.
        source: SignatureError,
    },
    /// It could not be checked.
    #[error("{0}")]
    Unchecked(String),
}

impl BadEvent {
    /// The event, where its ID could be told.
    pub fn event_id(&self) -> Option<&ruma::EventId> {
        match self {
            Self::Signature { event_id, .. } => Some(event_id),
            _ => None,
        }
    }
}

/// Public keys for one event: those that were valid when it was sent.
struct KeysForEvent<'a> {
    server_keys: &'a ServerKeys,
    keys: &'a KeysByServer,
    valid_at: u64,
}

impl KeyLookup for KeysForEvent<'_> {
    fn verify_key(&self, server: &ServerName, key_id: &str) -> Option<VerifyKey> {
        let own = self.server_keys.own();
        if server == own.server() {
            return own.verify_key(key_id);
        }
        self.keys.get(server)?.find(key_id, self.valid_at).map(|key| key.key)
    }
}

impl ServerKeys {
    /// As [`verify_events`](Self::verify_events), for one.
    pub async fn verify_event(
        &self,
        pdu: Box<RawValue>,
        rules: &RoomVersionRules,
    ) -> Result<Event, BadEvent> {
        let outcome = self.verify_events(vec![pdu], rules).await.pop();
        outcome.unwrap_or_else(|| Err(BadEvent::Unchecked("there is no event".to_owned())))
    }

    /// Parses events and checks the signatures and content hashes of each, in their order. An event with a wrong
    /// content hash comes back redacted (check 3). Keys that are missing are fetched; events whose keys can't be
    /// had are bad.
    pub async fn verify_events(
        &self,
        pdus: Vec<Box<RawValue>>,
        rules: &RoomVersionRules,
    ) -> Vec<Result<Event, BadEvent>> {
        let rules = Arc::new(rules.clone());
        let parsed = {
            let rules = rules.clone();
            in_chunks(self.0.verifying.clone(), pdus, move |pdu| {
                Event::from_pdu(pdu.get().as_bytes(), &rules).map_err(BadEvent::from)
            })
        };
        let parsed = parsed.await;
        let keys = match self.obtain(needs(&parsed, &rules)).await {
            Ok(keys) => Arc::new(keys),
            Err(error) => return refuse_all(parsed, &error),
        };
        let server_keys = self.clone();
        let verify = move |parsed: Result<Event, BadEvent>| {
            let event = parsed?;
            let lookup =
                KeysForEvent { server_keys: &server_keys, keys: &keys, valid_at: valid_at(&event, &rules) };
            verify_one(event, &rules, &lookup)
        };
        in_chunks(self.0.verifying.clone(), parsed, verify).await
    }
}

fn verify_one(event: Event, rules: &RoomVersionRules, keys: &impl KeyLookup) -> Result<Event, BadEvent> {
    match verify_event(&event, rules, keys) {
        Ok(Verified::Everything) => Ok(event),
        Ok(Verified::RedactedOnly) => Ok(redact(&event, rules)?),
        Err(source) => Err(BadEvent::Signature { event_id: event.event_id().to_owned(), source }),
    }
}

fn refuse_all(parsed: Vec<Result<Event, BadEvent>>, error: &ServerKeysError) -> Vec<Result<Event, BadEvent>> {
    let refuse = |_| Err(BadEvent::Unchecked(error.to_string()));
    parsed.into_iter().map(|event| event.and_then(refuse)).collect()
}

/// When the keys of an event must have been valid: in room versions 1 to 4 that does not matter.
fn valid_at(event: &Event, rules: &RoomVersionRules) -> u64 {
    if rules.enforce_key_validity { event.origin_server_ts() } else { 0 }
}

/// The keys that events need: of each server that must have signed, one of those that it has signed with. Events
/// that need the same keys are one need, with the latest of their times.
fn needs(
    events: &[Result<Event, BadEvent>],
    rules: &RoomVersionRules,
) -> HashMap<OwnedServerName, Vec<Need>> {
    let mut needs: HashMap<OwnedServerName, BTreeMap<Vec<String>, u64>> = HashMap::new();
    for event in events.iter().flatten() {
        // What is malformed is found again, and told, when the event is verified.
        let Ok(servers) = servers_that_must_sign(event, rules) else { continue };
        for server in servers {
            let key_ids = signing_keys(event, &server);
            if key_ids.is_empty() {
                continue;
            }
            let latest = needs.entry(server).or_default().entry(key_ids).or_default();
            *latest = (*latest).max(valid_at(event, rules));
        }
    }
    let of_server = |needs: BTreeMap<Vec<String>, u64>| {
        let needs = needs.into_iter();
        needs
            .map(|(key_ids, valid_at)| Need {
                key_ids: key_ids.into_iter().collect(),
                valid_at,
                ..Need::default()
            })
            .collect()
    };
    needs.into_iter().map(|(server, needs)| (server, of_server(needs))).collect()
}

/// Does `work` on each item, in chunks spread over threads that may be busy for long. The outcomes are in the
/// items' order.
async fn in_chunks<T, U>(
    places: Arc<Semaphore>,

    items: Vec<T>,
    work: impl Fn(T) -> Result<U, BadEvent> + Send + Sync + 'static,
) -> Vec<Result<U, BadEvent>>
where
    T: Send + 'static,
    U: Send + 'static,
{
    let work = Arc::new(work);
    let mut chunks = JoinSet::new();
    let mut sizes = Vec::new();
    let mut items = items.into_iter().peekable();
    while items.peek().is_some() {
        let chunk: Vec<T> = items.by_ref().take(VERIFY_CHUNK_EVENTS).collect();
        let (number, work, places) = (sizes.len(), work.clone(), places.clone());
        sizes.push(chunk.len());
        chunks.spawn(async move {
            let _place = places.acquire().await;
            let done = tokio::task::spawn_blocking(move || {
                chunk.into_iter().map(|item| work(item)).collect::<Vec<_>>()
            });
            (number, done.await)
        });
    }
    let mut outcomes: Vec<Option<Vec<Result<U, BadEvent>>>> = sizes.iter().map(|_| None).collect();
    while let Some(ended) = chunks.join_next().await {
        if let Ok((number, Ok(done))) = ended
            && let Some(place) = outcomes.get_mut(number)
        {
            *place = Some(done);
        }
    }
    let lost = || Err(BadEvent::Unchecked("the check was given up".to_owned()));
    let whole = |(outcome, size): (Option<Vec<_>>, usize)| {
        outcome.unwrap_or_else(|| std::iter::repeat_with(lost).take(size).collect())
    };
    outcomes.into_iter().zip(sizes).flat_map(whole).collect()
}
