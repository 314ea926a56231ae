//! `GET /.well-known/matrix/server`: which host a server's name is delegated to, asked once for all and
//! remembered.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, StatusCode};
use ruma::OwnedServerName;
use serde::Deserialize;

use super::caching;
use crate::{
    federation::limits::{
        DELEGATION_RETRY_TIME_MIN, DELEGATION_STALE_TIME_MAX, DELEGATIONS_MAX, DELEGATIONS_WAITING_MAX,
        NO_DELEGATION_TIME_MAX, NO_DELEGATION_TIME_MIN, WELL_KNOWN_BYTES_MAX, WELL_KNOWN_REDIRECTS_MAX,
        WELL_KNOWN_TIME_MAX,
    },
    net::outbound::{OutboundClient, OutboundError, ResponseLimits, SingleFlight},
};

const LIMITS: ResponseLimits = ResponseLimits {
    bytes_max: WELL_KNOWN_BYTES_MAX,
    time_max: WELL_KNOWN_TIME_MAX,
    redirects_max: WELL_KNOWN_REDIRECTS_MAX,
};

/// Delegations by host. Cheap to clone.
#[derive(Debug, Clone)]
pub struct WellKnown {
    client: OutboundClient,
    remembered: Arc<Mutex<HashMap<String, Remembered>>>,
    flights: SingleFlight<String, Option<OwnedServerName>>,
}

/// What is known of a host.
#[derive(Debug, Clone)]
struct Remembered {
    delegated: Option<OwnedServerName>,
    until: Instant,
    /// For how long an answer that holds no more still serves.
    stale_until: Instant,
    /// Answers without delegation in a row.
    failures: u32,
}

/// What asking brought.
#[derive(Debug)]
enum Asked {
    /// A delegation, and for how long it holds.
    Delegated(OwnedServerName, Duration),
    /// The host says that there is none, or nothing that makes sense.
    None,
    /// The host could not be asked.
    Unreachable,
}

impl WellKnown {
    /// Asks with `client`.
    pub fn new(client: OutboundClient) -> Self {
        Self { client, remembered: Arc::default(), flights: SingleFlight::new(DELEGATIONS_WAITING_MAX) }
    }

    /// What a host's name is delegated to; `None` if it isn't.
    pub async fn delegation(&self, host: &str) -> Option<OwnedServerName> {
        let host = host.to_ascii_lowercase();
        if let Some(known) = self.find(&host)
            && Instant::now() < known.until
        {
            return known.delegated;
        }
        let (own, name) = (self.clone(), host.clone());
        self.flights.run(host, || async move { own.ask_and_remember(name).await }).await.flatten()
    }

    fn find(&self, host: &str) -> Option<Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner).get(host).cloned()
    }

    async fn ask_and_remember(self, host: String) -> Option<OwnedServerName> {
        let asked = ask(&self.client, &host).await;
        let known = remember(self.find(&host).as_ref(), asked, Instant::now());
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= DELEGATIONS_MAX && !remembered.contains_key(&host) {
            make_room(&mut remembered);
        }
        remembered.insert(host, known.clone());
        known.delegated
    }
}

/// What to remember after asking, given what was known before.
fn remember(before: Option<&Remembered>, asked: Asked, now: Instant) -> Remembered {
    let failures = before.map_or(0, |before| before.failures);
    let least = match asked {
        Asked::Unreachable => DELEGATION_RETRY_TIME_MIN,
        Asked::Delegated(..) | Asked::None => NO_DELEGATION_TIME_MIN,
    };
    let pause = least.saturating_mul(1 << failures.min(16)).min(NO_DELEGATION_TIME_MAX);
    let failures = failures.saturating_add(1);
    match asked {
        Asked::Delegated(delegated, lifetime) => Remembered {
            delegated: Some(delegated),
            until: now + lifetime,
            stale_until: now + lifetime + DELEGATION_STALE_TIME_MAX,
            failures: 0,
        },
        Asked::None => Remembered { delegated: None, until: now + pause, stale_until: now, failures },
        Asked::Unreachable => {
            let stale = before.filter(|before| before.delegated.is_some() && now < before.stale_until);
            Remembered {
                delegated: stale.and_then(|before| before.delegated.clone()),
                until: now + pause,
                stale_until: stale.map_or(now, |before| before.stale_until),
                failures,
            }
        }
    }
}

/// Drops what holds no more; if everything does, any one entry.
fn make_room(remembered: &mut HashMap<String, Remembered>) {
    let (before, now) = (remembered.len(), Instant::now());
    remembered.retain(|_, known| now < known.until.max(known.stale_until));
    if remembered.len() == before
        && let Some(host) = remembered.keys().next().cloned()
    {
        remembered.remove(&host);
    }
}

async fn ask(client: &OutboundClient, host: &str) -> Asked {
    let url = format!("https://{host}/.well-known/matrix/server");
    let Ok(request) = Request::get(url).body(Bytes::new()) else { return Asked::None };
    match client.request(request, LIMITS).await {
        Ok(response) if response.status() == StatusCode::OK => match parse(response.body()) {
            Some(delegated) => Asked::Delegated(delegated, caching::lifetime(response.headers())),
            None => Asked::None,
        },
        Ok(response) if response.status().is_server_error() => Asked::Unreachable,
        Ok(_) | Err(OutboundError::TooLarge(_) | OutboundError::Redirects) => Asked::None,
        Err(error) => {
            tracing::trace!(%host, %error, "no well-known document");
            Asked::Unreachable
        }
    }
}

fn parse(body: &[u8]) -> Option<OwnedServerName> {
    #[derive(Deserialize)]
    struct Document {
        #[serde(rename = "m.server")]
        server: OwnedServerName,
    }
    serde_json::from_slice::<Document>(body).ok().map(|document| document.server)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delegated(seconds: u64) -> Asked {
        Asked::Delegated("b.test".try_into().unwrap(), Duration::from_secs(seconds))
    }

    #[test]
    fn what_is_no_document_delegates_nothing() {
        assert_eq!(parse(br#"{"m.server":"b.test:443"}"#).unwrap(), "b.test:443");
        for odd in
            [&b"{}"[..], br#"{"m.server":""}"#, br#"{"m.server":"a b"}"#, br#"{"m.server":1}"#, b"\xff"]
        {
            assert_eq!(parse(odd), None);
        }
    }

    #[test]
    fn an_old_delegation_serves_while_the_host_is_out() {
        let start = Instant::now();
        let known = remember(None, delegated(100), start);
        let later = start + Duration::from_secs(101);
        let out = remember(Some(&known), Asked::Unreachable, later);
        assert_eq!(out.delegated, known.delegated);
        assert_eq!(out.until, later + DELEGATION_RETRY_TIME_MIN);
        let much_later = start + Duration::from_secs(100) + DELEGATION_STALE_TIME_MAX;
        assert_eq!(remember(Some(&out), Asked::Unreachable, much_later).delegated, None);
        // The host's own word counts at once.
        assert_eq!(remember(Some(&known), Asked::None, later).delegated, None);
    }

    #[test]
    fn hosts_without_delegation_are_asked_more_and_more_rarely() {
        let start = Instant::now();
        let mut known = remember(None, Asked::None, start);
        assert_eq!(known.until - start, NO_DELEGATION_TIME_MIN);
        for _ in 0..30 {
            known = remember(Some(&known), Asked::None, start);
        }
        assert_eq!(known.until - start, NO_DELEGATION_TIME_MAX);
        assert_eq!(remember(Some(&known), delegated(1), start).failures, 0);
    }
}
