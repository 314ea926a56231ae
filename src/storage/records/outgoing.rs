//! What is kept of sending to other servers.

use serde::{Deserialize, Serialize};

use crate::storage::short_ids::ShortEventId;

/// How far a server has been sent what it should get. A server without a row has been sent everything that it is
/// not in the outbox for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestinationRow {
    /// Everything in the outbox up to this number that was meant for the server has been delivered.
    pub delivered: u64,
    /// True when too much waits for the server to be kept one by one: it is to be sent the newest event of each
    /// room that has one after `delivered`, and asks for the rest itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_behind: bool,
    /// The transaction that was begun and of which it is not known whether it arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<InFlight>,
}

/// A transaction to another server: repeated, after a restart too, with the same id and contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlight {
    /// The transaction's id.
    pub id: String,
    /// Its events, in their order.
    pub events: Vec<ShortEventId>,
    /// What `delivered` becomes when it has arrived.
    pub delivers: u64,
    /// The number of the last of its EDUs that are kept on disk; 0 for none.
    #[serde(default)]
    pub edus: u64,
    /// How often the server has refused it for what it contains.
    #[serde(default)]
    pub refusals: u32,
}
