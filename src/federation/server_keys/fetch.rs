//! Getting keys: from their servers, and from notaries.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use ruma::{
    OwnedServerName, ServerName,
    api::federation::discovery::{
        get_remote_server_keys_batch::v2 as notary_api, get_server_keys::v2 as keys_api,
    },
};
use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    super::{
        FederationClient, FederationError, SendOptions,
        limits::{
            KEY_DOCUMENT_BYTES_MAX, KEY_FETCH_TIME_MAX, KEY_FETCHES_MAX, KEY_FETCHES_WAITING_MAX,
            KEY_REFETCH_PAUSE, KEY_RETRY_PAUSE, NOTARY_BYTES_MAX, NOTARY_SERVERS_MAX,
        },
    },
    document::KeyDocument,
    known::KeyStore,
};
use crate::{net::outbound::SingleFlight, users::Clock};

/// Fetches keys into the store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct KeyFetcher {
    client: FederationClient,
    store: KeyStore,
    notaries: Arc<[OwnedServerName]>,
    clock: Clock,
    places: Arc<Semaphore>,
    flights: SingleFlight<OwnedServerName, ()>,
    /// When servers were last asked, directly and through notaries.
    asked: Arc<Asked>,
    asked_of_notaries: Arc<Asked>,
}

impl KeyFetcher {
    /// Asks with `client`.
    pub fn new(
        client: FederationClient,
        store: KeyStore,
        notaries: Vec<OwnedServerName>,
        clock: Clock,
    ) -> Self {
        Self {
            client,
            store,
            notaries: notaries.into(),
            clock,
            places: Arc::new(Semaphore::new(KEY_FETCHES_MAX)),
            flights: SingleFlight::new(KEY_FETCHES_WAITING_MAX),
            asked: Arc::default(),
            asked_of_notaries: Arc::default(),
        }
    }

    /// Asks each of these servers for its keys, unless that was done a moment ago; `insists` asks those too that
    /// failed lately. What goes wrong is logged: the caller looks at what the store has afterwards.
    pub async fn fetch_directly(&self, servers: Vec<OwnedServerName>, insists: bool) {
        let mut under_way = JoinSet::new();
        for server in servers {
            let fetcher = self.clone();
            under_way.spawn(async move {
                let (key, one) = (server.clone(), fetcher.clone());
                fetcher.flights.run(key, || async move { one.fetch_one(&server, insists).await }).await
            });
        }
        while under_way.join_next().await.is_some() {}
    }

    async fn fetch_one(&self, server: &ServerName, insists: bool) {
        if !self.asked.may_ask(server) {
            return;
        }
        let Ok(_place) = self.places.acquire().await else { return };
        let options = SendOptions {
            time_max: KEY_FETCH_TIME_MAX,
            bytes_max: KEY_DOCUMENT_BYTES_MAX,
            even_if_backing_off: insists,
        };
        let answer = self.client.send_with(server, keys_api::Request::new(), options).await;
        let json = match answer {
            Ok(answer) => answer.server_key.json().get().to_owned(),
            Err(FederationError::BackingOff { .. } | FederationError::Throttled { .. }) => {
                return self.asked.forget(server);
            }
            Err(error) => {
                tracing::debug!(%server, %error, "cannot fetch a server's keys");
                return self.asked.retry_soon(server, Instant::now());
            }
        };
        match KeyDocument::check_of(server, &json, self.clock.now_ms()) {
            Ok(document) => self.keep(vec![document]).await,
            Err(error) => tracing::debug!(%server, %error, "a server's document of keys is not right"),
        }
    }

    /// Asks the notaries, one after the other, for the keys of these servers.
    pub async fn fetch_from_notaries(&self, mut servers: Vec<OwnedServerName>) {
        servers.retain(|server| !self.notaries.contains(server) && self.asked_of_notaries.may_ask(server));
        for notary in self.notaries.iter() {
            let mut left = Vec::new();
            for some in servers.chunks(NOTARY_SERVERS_MAX) {
                let found = self.ask_notary(notary, some).await;
                left.extend(some.iter().filter(|server| !found.contains(server)).cloned());
            }
            servers = left;
            if servers.is_empty() {
                return;
            }
        }
    }

    /// Asks one notary; the servers of which it knew keys.
    async fn ask_notary(&self, notary: &ServerName, servers: &[OwnedServerName]) -> Vec<OwnedServerName> {
        self.fetch_directly(vec![notary.to_owned()], false).await;
        let known = self.store.keys(vec![notary.to_owned()]).await;
        let Some(notary_keys) = known.ok().and_then(|mut known| known.remove(notary)) else {
            return Vec::new();
        };
        // Old keys count as well, so nothing is asked of how long they must be valid.
        let wanted = servers.iter().map(|server| (server.clone(), BTreeMap::new())).collect();
        let options = SendOptions {
            time_max: KEY_FETCH_TIME_MAX,
            bytes_max: NOTARY_BYTES_MAX,
            even_if_backing_off: false,
        };
        let answer = match self.client.send_with(notary, notary_api::Request::new(wanted), options).await {
            Ok(answer) => answer.server_keys,
            Err(error) => {
                tracing::debug!(%notary, %error, "a notary did not help");
                return Vec::new();
            }
        };
        let now = self.clock.now_ms();
        let mut documents = Vec::new();
        for raw in answer.iter().take(2 * NOTARY_SERVERS_MAX) {
            match KeyDocument::check_notarised(notary, &notary_keys, raw.json().get(), now) {
                Ok(document) if servers.contains(&document.server) => documents.push(document),
                Ok(document) => {
                    tracing::debug!(%notary, server = %document.server, "keys that were not asked for");
                }
                Err(error) => tracing::debug!(%notary, %error, "a document from a notary is not right"),
            }
        }
        let found = documents.iter().map(|document| document.server.clone()).collect();
        self.keep(documents).await;
        found
    }

    async fn keep(&self, documents: Vec<KeyDocument>) {
        if let Err(error) = self.store.keep(documents).await {
            tracing::warn!(%error, "cannot keep servers' keys");
        }
    }
}

/// When servers were last asked.
#[derive(Debug, Default)]
struct Asked(Mutex<HashMap<OwnedServerName, Instant>>);

impl Asked {
    /// Whether a server may be asked now; if so, it counts as asked.
    fn may_ask(&self, server: &ServerName) -> bool {
        self.may_ask_at(server, Instant::now(), KEY_REFETCH_PAUSE)
    }

    fn may_ask_at(&self, server: &ServerName, now: Instant, pause: Duration) -> bool {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = |at: &Instant| now.saturating_duration_since(*at) < pause;
        if asked.get(server).is_some_and(is_recent) {
            return false;
        }
        if asked.len() >= KEY_FETCHES_WAITING_MAX {
            asked.retain(|_, at| is_recent(at));
        }
        if asked.len() < KEY_FETCHES_WAITING_MAX {
            asked.insert(server.to_owned(), now);
        }
        true
    }

    /// It gave no answer: it may be asked again in [`KEY_RETRY_PAUSE`].
    fn retry_soon(&self, server: &ServerName, now: Instant) {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(at), Some(earlier)) =
            (asked.get_mut(server), now.checked_sub(KEY_REFETCH_PAUSE - KEY_RETRY_PAUSE))
        {
            *at = earlier;
        }
    }

    /// It was not asked after all.
    fn forget(&self, server: &ServerName) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(server);
    }
}

#[cfg(test)]
mod tests {
    use ruma::server_name;

    use super::*;

    #[test]
    fn a_server_is_asked_once_in_a_while() {
        let asked = Asked::default();
        let (start, pause) = (Instant::now(), Duration::from_secs(60));
        let (a, b) = (server_name!("a.test"), server_name!("b.test"));
        assert!(asked.may_ask_at(a, start, pause) && asked.may_ask_at(b, start, pause));
        assert!(!asked.may_ask_at(a, start + Duration::from_secs(59), pause));
        assert!(asked.may_ask_at(a, start + Duration::from_secs(60), pause));
        asked.retry_soon(b, start + Duration::from_secs(60));
        assert!(!asked.may_ask_at(b, start + Duration::from_secs(64), KEY_REFETCH_PAUSE));
        assert!(asked.may_ask_at(b, start + Duration::from_secs(65), KEY_REFETCH_PAUSE));
        asked.forget(b);
        assert!(asked.may_ask_at(b, start, pause));
    }
}
