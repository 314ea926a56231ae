//! Rows of the queues to application services.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// One thing that waits to be sent to an application service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum QueuedForAppservice {
    /// An event, by its short id: it is written when it is sent, so that a redaction of meanwhile shows.
    #[serde(rename = "e")]
    Event(u64),
    /// Typing, receipts or presence, as they are sent.
    #[serde(rename = "p")]
    Ephemeral(Box<RawValue>),
    /// A message to a device of one of its users, as it is sent.
    #[serde(rename = "d")]
    ToDevice(Box<RawValue>),
    /// A user (by id) with whom its users share a room, and whose devices changed.
    #[serde(rename = "l")]
    DeviceList(String),
    /// A user (by id) who shares no room with its users any more.
    #[serde(rename = "g")]
    DeviceListLeft(String),
    /// A device of one of its users (by ids) whose stock of keys changed: it is counted when it is sent.
    #[serde(rename = "k")]
    KeyStock(String, String),
}

/// How far an application service's queue has come.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct AppserviceDelivery {
    /// It is sent nothing of up to this stream position, at which it was registered.
    pub since: u64,
    /// The sequence number given last.
    pub last_sequence: u64,
    /// The number of the last transaction.
    pub last_transaction: u64,
    /// The transaction that has been sent and not acknowledged, if there is one: the last sequence number in it.
    /// What is in it is sent again and
    /// nothing else.
    pub in_flight_until: Option<u64>,
}
