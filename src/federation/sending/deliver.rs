//! Handing a transaction to another server.

use std::{future::Future, pin::Pin};

use ruma::{OwnedServerName, ServerName, api::federation::transactions::edu::Edu, serde::Raw};
use serde_json::value::RawValue;

/// What one server sends another at once (server-server API, "Transactions").
#[derive(Debug, Clone)]
pub struct OutgoingTransaction {
    /// The id: the same for each repetition.
    pub id: String,
    /// Events, each room's in their order.
    pub pdus: Vec<Box<RawValue>>,
    /// What is no event.
    pub edus: Vec<Raw<Edu>>,
}

/// Why a transaction did not arrive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// The server is not there, and is left alone until then (milliseconds since 1970).
    #[error("the server is left alone for a while")]
    Later {
        /// Until when.
        until_ms: u64,
    },
    /// The server answered that it can't make sense of the transaction.
    #[error("the server refuses what the transaction contains: {0}")]
    Refused(String),
    /// Something else went wrong.
    #[error("{0}")]
    Failed(String),
}

/// A pending delivery.
pub type Delivery = Pin<Box<dyn Future<Output = Result<(), DeliveryError>> + Send>>;

/// The way to other servers: the signed client, or what a test puts in its place.
pub trait Deliver: Send + Sync + 'static {
    /// Whether this server has to do with another one at all.
    fn allows(&self, server: &ServerName) -> bool;

    /// Sends a transaction; `Ok` once the other server has taken it.
    fn deliver(&self, server: OwnedServerName, transaction: OutgoingTransaction) -> Delivery;
}
