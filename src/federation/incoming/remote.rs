//! What the filling of gaps asks of other servers.

use std::{future::Future, pin::Pin};

use ruma::{EventId, OwnedEventId, RoomId, ServerName, room_version_rules::RoomVersionRules};
use serde_json::value::RawValue;

use crate::matrix::event::Event;

/// Why another server gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoAnswer {
    /// A sentence.
    pub why: String,
    /// Whether the server could not be reached: it may answer later. Otherwise it refused, or its answer is of
    /// no use.
    pub is_outage: bool,
}

/// An answer of another server.
pub type Answer<T> = Result<T, NoAnswer>;

/// An answer that is being waited for.
pub type BoxedAnswer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A state as another server has it (`/state_ids`).
#[derive(Debug, Clone, Default)]
pub struct StateIds {
    /// The state before the event.
    pub state: Vec<OwnedEventId>,
    /// The auth chains of its events.
    pub auth_chain: Vec<OwnedEventId>,
}

/// The part of a room's graph that is asked for.
#[derive(Debug, Clone, Default)]
pub struct Between {
    /// Events that this server has, beyond which nobody need look.
    pub earliest: Vec<OwnedEventId>,
    /// Events whose ancestors are asked for.
    pub latest: Vec<OwnedEventId>,
    /// Events at most.
    pub limit: u32,
    /// The least depth of an event that is of interest.
    pub min_depth: u64,
}

/// Other servers, as far as the filling of gaps needs them. Answers are bounded in bytes and time by whoever
/// implements it, and not believed: their events are verified and checked.
pub trait RemoteEvents: Send + Sync + 'static {
    /// The events between two sides (`/get_missing_events`).
    fn missing_events<'a>(
        &'a self,
        server: &'a ServerName,
        room_id: &'a RoomId,
        between: Between,
    ) -> BoxedAnswer<'a, Answer<Vec<Box<RawValue>>>>;

    /// The given events and those before them, at most `limit` (`/backfill`).
    fn history<'a>(
        &'a self,
        server: &'a ServerName,
        room_id: &'a RoomId,
        from: Vec<OwnedEventId>,
        limit: u32,
    ) -> BoxedAnswer<'a, Answer<Vec<Box<RawValue>>>>;

    /// The state before an event (`/state_ids`).
    fn state_ids<'a>(
        &'a self,
        server: &'a ServerName,
        room_id: &'a RoomId,
        event_id: &'a EventId,
    ) -> BoxedAnswer<'a, Answer<StateIds>>;

    /// The events of the state before an event, and of their auth chains (`/state`).
    fn state<'a>(
        &'a self,
        server: &'a ServerName,
        room_id: &'a RoomId,
        event_id: &'a EventId,
    ) -> BoxedAnswer<'a, Answer<Vec<Box<RawValue>>>>;

    /// An event (`/event`).
    fn event<'a>(
        &'a self,
        server: &'a ServerName,
        event_id: &'a EventId,
    ) -> BoxedAnswer<'a, Answer<Box<RawValue>>>;

    /// The auth chain of an event (`/event_auth`).
    fn event_auth<'a>(
        &'a self,
        server: &'a ServerName,
        room_id: &'a RoomId,
        event_id: &'a EventId,
    ) -> BoxedAnswer<'a, Answer<Vec<Box<RawValue>>>>;

    /// Makes checks 1 to 3 on receipt: an event, redacted if its content hash is wrong, or why it is dropped.
    /// In the order of the PDUs.
    fn verify<'a>(
        &'a self,
        pdus: Vec<Box<RawValue>>,
        rules: &'a RoomVersionRules,
    ) -> BoxedAnswer<'a, Vec<Result<Event, String>>>;
}
