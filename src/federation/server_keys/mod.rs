//! Other servers' signing keys: fetched once for all who wait, kept on disk, and used to verify what comes from
//! there.
//!
//! Keys come from their server itself, or, where it does not answer, from the notaries that the operator trusts.
//! A key counts for events up to the time its server said (room versions 5 and later), and for requests only
//! while it is current. Never: decides whether an event is allowed.

mod document;
mod events;
mod fetch;
mod known;
mod own;
mod requests;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedServerName, UInt, api::federation::discovery::ServerSigningKeys,
    serde::Raw,
};
use tokio::sync::Semaphore;

pub use self::{
    events::BadEvent,
    own::OwnKeys,
    requests::{RequestRefusal, RequestToVerify},
};
use self::{
    fetch::KeyFetcher,
    known::{KeyStore, KnownKeys},
};
use super::{
    FederationClient, ServerPolicy,
    limits::{NOTARY_QUERY_SERVERS_MAX, VERIFY_THREADS_MAX},
};
use crate::{
    matrix::canonical_json::CanonicalJsonError,
    storage::{Storage, StorageError},
    users::Clock,
};

/// Why keys can't be given.
#[derive(Debug, thiserror::Error)]
pub enum ServerKeysError {
    /// The store.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A document could not be written as JSON.
    #[error(transparent)]
    Json(#[from] CanonicalJsonError),
    /// The work was given up.
    #[error("the server is stopping")]
    Stopping,
}

/// The key ring. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ServerKeys(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    own: OwnKeys,
    policy: ServerPolicy,
    client: FederationClient,
    clock: Clock,
    store: KeyStore,
    fetcher: KeyFetcher,
    /// Threads that verify events at a time.
    verifying: Arc<Semaphore>,
}

/// That one of some keys of a server is needed.
#[derive(Debug, Clone, Default)]
struct Need {
    key_ids: BTreeSet<String>,
    /// When the key must be valid, in milliseconds since 1970; 0 where that does not matter.
    valid_at: u64,
    /// Whether the server's old keys don't count.
    is_current: bool,
    /// Whether to ask the server although it failed lately, as it evidently is alive.
    insists: bool,
}

impl Need {
    fn is_met_by(&self, keys: &KnownKeys) -> bool {
        let mut ids = self.key_ids.iter();
        ids.any(|id| keys.find(id, self.valid_at).is_some_and(|key| !(self.is_current && key.is_old)))
    }
}

/// Keys of several servers.
type KeysByServer = HashMap<OwnedServerName, Arc<KnownKeys>>;

impl ServerKeys {
    /// Fetches with `client`, and from `notaries` what servers themselves don't give.
    pub fn new(
        storage: Storage,
        own: OwnKeys,
        policy: ServerPolicy,
        client: FederationClient,
        notaries: Vec<OwnedServerName>,
        clock: Clock,
    ) -> Self {
        let store = KeyStore::new(storage);
        let fetcher = KeyFetcher::new(client.clone(), store.clone(), notaries, clock.clone());
        let verifying = Arc::new(Semaphore::new(VERIFY_THREADS_MAX));
        Self(Arc::new(Inner { own, policy, client, clock, store, fetcher, verifying }))
    }

    /// This server's own keys.
    pub fn own(&self) -> &OwnKeys {
        &self.0.own
    }

    /// Our document of keys, signed.
    pub fn own_document(&self) -> Result<Raw<ServerSigningKeys>, ServerKeysError> {
        Ok(self.0.own.document(self.0.clock.now_ms())?)
    }

    /// As a notary: the documents of these servers with our signature besides, for those of which one is known
    /// that holds until the given time, or can be had. At most [`NOTARY_QUERY_SERVERS_MAX`] servers are looked at.
    pub async fn notarised(
        &self,
        servers: BTreeMap<OwnedServerName, MilliSecondsSinceUnixEpoch>,
    ) -> Result<Vec<Raw<ServerSigningKeys>>, ServerKeysError> {
        let mut asked: Vec<_> = servers.into_iter().take(NOTARY_QUERY_SERVERS_MAX).collect();
        let mut documents = Vec::new();
        if let Some(own) = asked.iter().position(|(server, _)| server == self.0.policy.own_name()) {
            asked.swap_remove(own);
            documents.push(self.own_document()?);
        }
        let names = |list: &[(OwnedServerName, MilliSecondsSinceUnixEpoch)]| {
            list.iter().map(|(server, _)| server.clone()).collect::<Vec<_>>()
        };
        let mut found = self.0.store.documents(names(&asked)).await?;
        asked.retain(|(server, at)| found.get(server).is_none_or(|document| document.valid_until < *at));
        asked.retain(|(server, _)| self.0.policy.allows(server));
        if !asked.is_empty() {
            self.0.fetcher.fetch_directly(names(&asked), false).await;
            found.extend(self.0.store.documents(names(&asked)).await?);
        }
        for document in found.into_values() {
            documents.push(self.0.own.countersign(&document.json)?);
        }
        Ok(documents)
    }

    /// The keys of all servers that are needed, as far as they can be had.
    async fn obtain(
        &self,
        needs: HashMap<OwnedServerName, Vec<Need>>,
    ) -> Result<KeysByServer, ServerKeysError> {
        let mut keys = self.0.store.keys(needs.keys().cloned().collect()).await?;
        let unmet = |keys: &KeysByServer| -> Vec<OwnedServerName> {
            let is_met = |server: &OwnedServerName, needs: &[Need]| {
                let known = keys.get(server);
                known.is_some_and(|known| needs.iter().all(|need| need.is_met_by(known)))
            };
            let servers = needs.iter().filter(|(server, needs)| !is_met(server, needs));
            let others = servers.map(|(server, _)| server.clone());
            others.filter(|server| server != self.0.policy.own_name()).collect()
        };
        let missing = unmet(&keys);
        if missing.is_empty() {
            return Ok(keys);
        }
        let insists = needs.values().flatten().any(|need| need.insists);
        self.0.fetcher.fetch_directly(missing.clone(), insists).await;
        keys.extend(self.0.store.keys(missing).await?);
        let missing = unmet(&keys);
        if !missing.is_empty() {
            self.0.fetcher.fetch_from_notaries(missing.clone()).await;
            keys.extend(self.0.store.keys(missing).await?);
        }
        Ok(keys)
    }
}

/// Milliseconds since 1970 as ruma's type.
fn timestamp(ms: u64) -> MilliSecondsSinceUnixEpoch {
    MilliSecondsSinceUnixEpoch(UInt::new_saturating(ms))
}

/// The other way round.
fn millis(time: MilliSecondsSinceUnixEpoch) -> u64 {
    time.get().into()
}
