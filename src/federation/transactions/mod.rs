//! Transactions that other servers send: each has its effect once, and gets the same answer whenever it comes.
//!
//! Of one server, one transaction at a time is worked on, so that what it sends keeps its order and a flood of one
//! server's takes no place of another's. The answers of each server's last transactions are kept on disk. PDUs go to
//! whoever takes them ([`TakePdus`]), EDUs to [`IncomingEdus`]. Main type: [`IncomingTransactions`].

mod answers;
mod edus;
mod limits;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use ruma::{OwnedEventId, OwnedServerName, ServerName, api::federation::transactions::edu::Edu, serde::Raw};
use serde_json::value::RawValue;

pub use self::edus::{IncomingEduSources, IncomingEdus};
use super::IncomingPdus;
use crate::storage::{Storage, StorageError};

/// What became of each PDU of a transaction: the error is a sentence for the other server.
pub type PduOutcomes = BTreeMap<OwnedEventId, Result<(), String>>;

/// A pending [`TakePdus::take`].
pub type PendingOutcomes = Pin<Box<dyn Future<Output = PduOutcomes> + Send>>;

/// Takes PDUs in. When it answers, those that it took survive a crash.
pub trait TakePdus: Send + Sync + 'static {
    /// Takes the PDUs of a transaction of `origin`.
    fn take(&self, origin: OwnedServerName, pdus: Vec<Box<RawValue>>) -> PendingOutcomes;
}

impl TakePdus for IncomingPdus {
    fn take(&self, origin: OwnedServerName, pdus: Vec<Box<RawValue>>) -> PendingOutcomes {
        let this = self.clone();
        Box::pin(async move { this.submit(&origin, pdus).await })
    }
}

/// A transaction of another server, whose signature was verified.
#[derive(Debug)]
pub struct IncomingTransaction {
    /// The server that sends it.
    pub origin: OwnedServerName,
    /// Its id, which the server gives once.
    pub id: String,
    /// Events.
    pub pdus: Vec<Box<RawValue>>,
    /// What is no event.
    pub edus: Vec<Raw<Edu>>,
}

/// Why a transaction was not taken.
#[derive(Debug, thiserror::Error)]
pub enum TransactionError {
    /// More PDUs or EDUs than the specification allows.
    #[error("A transaction has at most {} PDUs and {} EDUs", limits::PDUS_MAX, limits::EDUS_MAX)]
    TooMany,
    /// The server has sent others that are still being worked on.
    #[error("One transaction at a time, please")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The server is stopping.
    #[error("The server is stopping")]
    Stopping,
}

/// Takes transactions. Cheap to clone.
#[derive(Clone)]
pub struct IncomingTransactions(Arc<Inner>);

impl std::fmt::Debug for IncomingTransactions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IncomingTransactions").finish_non_exhaustive()
    }
}

struct Inner {
    storage: Storage,
    pdus: Box<dyn TakePdus>,
    edus: IncomingEdus,
    /// The turn of each server that has a transaction here now.
    turns: Mutex<HashMap<OwnedServerName, Arc<tokio::sync::Mutex<()>>>>,
    /// Places for work on EDUs: each holds one of the few threads for such work.
    places: tokio::sync::Semaphore,
}

/// A server's turn; the last one to give it back takes it out of the table.
struct Turn<'a> {
    inner: &'a Inner,
    origin: &'a ServerName,
    turn: Option<Arc<tokio::sync::Mutex<()>>>,
}

impl Inner {
    fn turns<T>(
        &self,
        work: impl FnOnce(&mut HashMap<OwnedServerName, Arc<tokio::sync::Mutex<()>>>) -> T,
    ) -> T {
        work(&mut self.turns.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A place in the server's line; `None` when the line is full.
    fn turn<'a>(&'a self, origin: &'a ServerName) -> Option<Turn<'a>> {
        let turn = self.turns(|turns| {
            let turn = turns.entry(origin.to_owned()).or_default().clone();
            // One is in the table, one is of the transaction that has its turn, and one is ours.
            (Arc::strong_count(&turn) <= limits::WAITING_MAX + 2).then_some(turn)
        });
        Some(Turn { inner: self, origin, turn: Some(turn?) })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.inner.turns(|turns| {
            self.turn = None;
            if turns.get(self.origin).is_some_and(|turn| Arc::strong_count(turn) == 1) {
                turns.remove(self.origin);
            }
        });
    }
}

impl IncomingTransactions {
    /// Gives PDUs to `pdus` and EDUs to `edus`.
    pub fn new(storage: Storage, pdus: impl TakePdus, edus: IncomingEdus) -> Self {
        let places = tokio::sync::Semaphore::new(limits::WORKING_MAX);
        let inner = Inner { storage, pdus: Box::new(pdus), edus, turns: Mutex::default(), places };
        Self(Arc::new(inner))
    }

    /// Takes a transaction; one that was taken before has no effect and gets the answer it got. When this returns,
    /// what was taken is durable but for the answer, which is so with the next sync of the store.
    pub async fn receive(&self, transaction: IncomingTransaction) -> Result<PduOutcomes, TransactionError> {
        let IncomingTransaction { origin, id, pdus, edus } = transaction;
        if pdus.len() > limits::PDUS_MAX || edus.len() > limits::EDUS_MAX {
            return Err(TransactionError::TooMany);
        }
        let turn = self.0.turn(&origin).ok_or(TransactionError::Busy)?;
        let Some(mutex) = &turn.turn else { return Err(TransactionError::Busy) };
        let _mine = mutex.lock().await;
        let known = self.blocking({
            let (origin, id) = (origin.clone(), id.clone());
            move |inner| answers::find(&inner.storage, &origin, &id)
        });
        if let Some(answer) = known.await? {
            return Ok(answer);
        }
        let outcomes =
            if pdus.is_empty() { PduOutcomes::new() } else { self.0.pdus.take(origin.clone(), pdus).await };
        let _place = self.0.places.acquire().await.map_err(|_| TransactionError::Stopping)?;
        let answer = outcomes.clone();
        let origin = origin.clone();
        self.blocking(move |inner| {
            inner.edus.take(&origin, &edus);
            answers::keep(&inner.storage, &origin, &id, &answer)
        })
        .await?;
        Ok(outcomes)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, TransactionError> {
        let inner = self.0.clone();
        match tokio::task::spawn_blocking(move || work(&inner)).await {
            Ok(outcome) => Ok(outcome?),
            Err(_) => Err(TransactionError::Stopping),
        }
    }
}
