//! Events that are to be sent later.

use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// An event that was scheduled (MSC4140). Times and delays are in milliseconds, times since 1970.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DelayedEventRecord {
    /// Who sends it.
    pub sender: OwnedUserId,
    /// Its room.
    pub room_id: OwnedRoomId,
    /// Its type.
    pub event_type: String,
    /// Its state key, for state.
    pub state_key: Option<String>,
    /// Its content.
    pub content: Box<RawValue>,
    /// How long after scheduling, or after the last restart, it is sent.
    pub delay_ms: u64,
    /// When it was scheduled, or last restarted.
    pub scheduled_at_ms: u64,
    /// The time that an application service gives it.
    pub dated_ms: Option<u64>,
    /// For how many milliseconds it is sticky, from when it is sent.
    #[serde(default)]
    pub sticky_ms: Option<u64>,
    /// The device and the hash of the request that scheduled it (DELAYED_TRANSACTIONS).
    pub transaction: Option<(String, [u8; 32])>,
    /// What became of it; `None` while it is scheduled.
    pub outcome: Option<DelayedOutcome>,
}

/// What became of an event that was scheduled.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DelayedOutcome {
    /// When it was decided.
    pub at_ms: u64,
    /// The event, if it was sent.
    pub event_id: Option<OwnedEventId>,
    /// Why it was not sent, if that was tried: a standard error response. With neither, it was cancelled.
    pub error: Option<Box<RawValue>>,
}
