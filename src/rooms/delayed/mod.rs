//! Events that are sent later, unless their sender cancels them (MSC4140): how a call notices that somebody's
//! client has gone.
//!
//! What is scheduled is on disk, ordered by the time at which it is due; one task sleeps until the first of them
//! ([`DelayedEvents::run`]), so nothing is polled and a restart loses none. An event is sent under a transaction
//! id of its own: if the server stops between sending it and noting so, it is not sent twice. Whether the sender
//! may send it is decided when it is sent. The main type is [`DelayedEvents`].

mod error;
mod rows;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ruma::{CanonicalJsonObject, OwnedEventId, OwnedRoomId, OwnedUserId, UserId};
use serde_json::value::RawValue;
use tokio::sync::Notify;

pub use self::error::DelayedError;
use super::{EventSender, RoomError, RoomIndex, appender::ClientTransaction, limits, sending::LaterEvent};
use crate::{
    matrix::canonical_json,
    storage::{
        Direction, Json, Read, ShortUserId, Storage, StorageError,
        records::{DelayedEventRecord, DelayedOutcome},
        tables::{DELAYED_DUE, DELAYED_EVENTS, DELAYED_OF_USER, DELAYED_TRANSACTIONS},
    },
    users::{Accounts, Clock, random_bytes},
};

/// The id of a scheduled event: random, as who knows it may send, cancel or restart it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DelayId(pub(super) [u8; 16]);

impl DelayId {
    /// The id that a client writes; `None` for what this server never made.
    pub fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }
}

impl std::fmt::Display for DelayId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// An event to be scheduled.
#[derive(Debug)]
pub struct NewDelayedEvent {
    /// Its room, which the sender must be in.
    pub room_id: OwnedRoomId,
    /// Who sends it.
    pub sender: OwnedUserId,
    /// The sender's short id.
    pub user: ShortUserId,
    /// Its type.
    pub event_type: String,
    /// Its state key, for state.
    pub state_key: Option<String>,
    /// Its content.
    pub content: CanonicalJsonObject,
    /// After how many milliseconds it is sent.
    pub delay_ms: u64,
    /// The time that an application service gives it, in milliseconds since 1970.
    pub dated_ms: Option<u64>,
    /// For how many milliseconds it is sticky (MSC4354), from when it is sent.
    pub sticky_ms: Option<u64>,
    /// The request, where it can be repeated.
    pub transaction: Option<ClientTransaction>,
}

/// What users may schedule.
#[derive(Debug, Clone, Copy)]
pub struct DelayLimits {
    /// The longest delay, in milliseconds; 0 for none at all.
    pub delay_ms_max: u64,
    /// How many events a user may have scheduled.
    pub scheduled_max: usize,
}

/// Writes why an event could not be sent as a standard error response.
pub type DescribeError = fn(RoomError) -> Box<RawValue>;

/// What [`DelayedEvents`] works with.
#[derive(Debug, Clone)]
pub struct DelayedSources {
    /// The store.
    pub storage: Storage,
    /// Who is in rooms.
    pub index: RoomIndex,
    /// Sends what is due.
    pub sender: EventSender,
    /// Whose accounts are closed.
    pub accounts: Accounts,
    /// The time.
    pub clock: Clock,
    /// What users may schedule.
    pub limits: DelayLimits,
    /// How errors are told.
    pub describe: DescribeError,
}

/// Schedules events and sends them when they are due. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DelayedEvents {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    sources: DelayedSources,
    /// Something may be due earlier than was known.
    changed: Notify,
    /// Held while it is decided what becomes of an event, by its id.
    deciding: [Mutex<()>; limits::DELAYED_LOCKS],
}

impl DelayedEvents {
    /// The service.
    pub fn new(sources: DelayedSources) -> Self {
        let deciding = std::array::from_fn(|_| Mutex::new(()));
        Self { inner: Arc::new(Inner { sources, changed: Notify::new(), deciding }) }
    }

    /// What users may schedule.
    pub fn limits(&self) -> DelayLimits {
        self.inner.sources.limits
    }

    /// The event that this very request has scheduled before, if it has.
    pub fn scheduled_before(&self, transaction: &ClientTransaction) -> Result<Option<DelayId>, StorageError> {
        let key = rows::transaction_key(transaction);
        Ok(self.inner.sources.storage.get(&DELAYED_TRANSACTIONS, &key)?.map(DelayId))
    }

    /// Schedules an event, once for each transaction.
    pub fn schedule(&self, new: NewDelayedEvent) -> Result<DelayId, DelayedError> {
        let sources = &self.inner.sources;
        let limits = sources.limits;
        if new.delay_ms == 0 {
            return Err(DelayedError::NoDelay);
        }
        if new.delay_ms > limits.delay_ms_max {
            return Err(DelayedError::TooLate { delay_ms_max: limits.delay_ms_max });
        }
        let room = sources.index.room(&new.room_id)?;
        let is_in = room.map(|room| sources.index.is_joined(&new.sender, room)).transpose()?;
        if is_in != Some(true) {
            return Err(RoomError::Forbidden("You are not in this room".to_owned()).into());
        }
        let id = DelayId(random_bytes().map_err(|_| RoomError::NoRandomness)?);
        let content = canonical_json::to_string(&new.content).map_err(RoomError::from)?;
        let content =
            RawValue::from_string(content).map_err(|error| RoomError::BadContent(error.to_string()))?;
        let now_ms = sources.clock.now_ms();
        let scheduled =
            sources.storage.write(|rows| rows::schedule(rows, limits, id, new, content, now_ms))?;
        self.inner.changed.notify_one();
        Ok(scheduled)
    }

    /// The events that a user has scheduled and that were not sent yet, the next one first.
    pub fn of_user(&self, user: ShortUserId) -> Result<Vec<(DelayId, DelayedEventRecord)>, StorageError> {
        let storage = &self.inner.sources.storage;
        let range = DELAYED_OF_USER.prefix(&(user, rows::SCHEDULED));
        let mut found = Vec::new();
        for row in storage.scan(&DELAYED_OF_USER, &range, Direction::Forward) {
            let ((_, _, _, id), ()) = row?;
            if let Some(Json(record)) = storage.get(&DELAYED_EVENTS, &id)? {
                found.push((DelayId(id), record));
            }
        }
        Ok(found)
    }

    /// A user's event, be it scheduled or not any more; that of another user does not exist for them.
    pub fn get(&self, id: DelayId, sender: &UserId) -> Result<DelayedEventRecord, DelayedError> {
        let found = self.record(id)?;
        if found.sender == sender { Ok(found) } else { Err(DelayedError::NotFound) }
    }

    /// Any user's event.
    pub fn record(&self, id: DelayId) -> Result<DelayedEventRecord, DelayedError> {
        let found = self.inner.sources.storage.get(&DELAYED_EVENTS, &id.0)?;
        found.map(|Json(record)| record).ok_or(DelayedError::NotFound)
    }

    /// Lets the delay begin anew.
    pub fn restart(&self, id: DelayId) -> Result<(), DelayedError> {
        let _deciding = self.decide(id);
        let sources = &self.inner.sources;
        let now_ms = sources.clock.now_ms();
        sources.storage.write(|rows| rows::restart(rows, id, now_ms))?;
        self.inner.changed.notify_one();
        Ok(())
    }

    /// Has the event never be sent.
    pub fn cancel(&self, id: DelayId) -> Result<(), DelayedError> {
        let _deciding = self.decide(id);
        let record = self.record(id)?;
        match &record.outcome {
            Some(outcome) if outcome.event_id.is_some() => Err(DelayedError::AlreadySent),
            Some(_) => Ok(()),
            None => Ok(self.finish(id, record, None, None)?),
        }
    }

    /// Sends the event now. If it can't be sent, it stays scheduled.
    pub fn send(&self, id: DelayId) -> Result<(), DelayedError> {
        let _deciding = self.decide(id);
        let record = self.record(id)?;
        match &record.outcome {
            Some(outcome) if outcome.event_id.is_some() => return Ok(()),
            Some(_) => return Err(DelayedError::AlreadyCancelled),
            None => {}
        }
        let event_id = self.append(id, &record)?;
        Ok(self.finish(id, record, Some(event_id), None)?)
    }

    /// Sends what is due, as long as the server runs.
    pub async fn run(self) {
        loop {
            let events = self.clone();
            let wait_ms =
                tokio::task::spawn_blocking(move || events.send_due()).await.unwrap_or_else(|error| {
                    tracing::error!("sending delayed events failed: {error}");
                    Some(limits::DELAYED_RETRY_MS)
                });
            let due = async move {
                match wait_ms {
                    Some(wait_ms) => tokio::time::sleep(std::time::Duration::from_millis(wait_ms)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                () = self.inner.changed.notified() => {}
            }
        }
    }

    /// Sends everything that is due, in order; answers in how many milliseconds the next one is.
    fn send_due(&self) -> Option<u64> {
        loop {
            match self.send_first_due() {
                Ok(Due::Sent) => {}
                Ok(Due::In(wait_ms)) => return Some(wait_ms),
                Ok(Due::Never) => return None,
                Err(error) => {
                    tracing::error!("a delayed event can't be sent now: {error}");
                    return Some(limits::DELAYED_RETRY_MS);
                }
            }
        }
    }

    fn send_first_due(&self) -> Result<Due, RoomError> {
        let sources = &self.inner.sources;
        let first = sources.storage.scan(&DELAYED_DUE, &DELAYED_DUE.all(), Direction::Forward).next();
        let Some(((due_ms, id), ())) = first.transpose()? else { return Ok(Due::Never) };
        let now_ms = sources.clock.now_ms();
        if due_ms > now_ms {
            return Ok(Due::In(due_ms - now_ms));
        }
        let id = DelayId(id);
        let _deciding = self.decide(id);
        // It may have been decided in another way meanwhile.
        if !sources.storage.contains(&DELAYED_DUE, &(due_ms, id.0))? {
            return Ok(Due::Sent);
        }
        let Some(Json(record)) = sources.storage.get(&DELAYED_EVENTS, &id.0)? else {
            tracing::error!("a delayed event is due that does not exist");
            sources.storage.write(|rows| {
                rows.delete(&DELAYED_DUE, &(due_ms, id.0));
                Ok::<_, StorageError>(())
            })?;
            return Ok(Due::Sent);
        };
        match self.append(id, &record) {
            Ok(event_id) => self.finish(id, record, Some(event_id), None)?,
            Err(RoomError::Storage(error)) => return Err(error.into()),
            Err(error) => {
                tracing::info!(sender = %record.sender, room_id = %record.room_id, "a delayed event was refused: {error}");
                self.finish(id, record, None, Some((sources.describe)(error)))?;
            }
        }
        Ok(Due::Sent)
    }

    fn append(&self, id: DelayId, record: &DelayedEventRecord) -> Result<OwnedEventId, RoomError> {
        let sources = &self.inner.sources;
        let Some(user) = sources.accounts.local_user(&record.sender)? else {
            return Err(RoomError::Forbidden("The sender's account is closed".to_owned()));
        };
        let event = LaterEvent {
            event_type: record.event_type.clone(),
            state_key: record.state_key.clone(),
            content: canonical_json::parse_object(record.content.get().as_bytes())?,
            at_ms: record.dated_ms,
            sticky_ms: record.sticky_ms,
        };
        let transaction = ClientTransaction {
            user,
            device: limits::DELAYED_DEVICE.into(),
            path: "delayed_event".to_owned(),
            transaction_id: id.to_string(),
        };
        sources.sender.send_later(&record.room_id, &record.sender, event, &transaction)
    }

    fn finish(
        &self,
        id: DelayId,
        record: DelayedEventRecord,
        event_id: Option<OwnedEventId>,
        error: Option<Box<RawValue>>,
    ) -> Result<(), StorageError> {
        let sources = &self.inner.sources;
        let outcome = DelayedOutcome { at_ms: sources.clock.now_ms(), event_id, error };
        sources.storage.write(|rows| rows::finish(rows, id, record, outcome))
    }

    fn decide(&self, id: DelayId) -> MutexGuard<'_, ()> {
        let index = usize::from(id.0[0]) % limits::DELAYED_LOCKS;
        self.inner.deciding[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What there was to send.
enum Due {
    /// Something, which was sent or refused.
    Sent,
    /// Nothing for so many milliseconds.
    In(u64),
    /// Nothing is scheduled.
    Never,
}
