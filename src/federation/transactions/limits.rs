//! The bounds of what other servers' transactions may cost, each with its reason.

use std::time::Duration;

/// PDUs of one transaction (specification, "Transactions").
pub const PDUS_MAX: usize = 50;

/// EDUs of one transaction (specification).
pub const EDUS_MAX: usize = 100;

/// Transactions of one server that may wait for their turn: it is to send one at a time, and repeats one that was
/// not answered in time.
pub const WAITING_MAX: usize = 4;

/// Transactions whose EDUs are worked on at a time.
pub const WORKING_MAX: usize = 4;

/// Answers kept of each server: it repeats only the last one, but may have several connections.
pub const ANSWERS_KEPT: u64 = 32;

/// The longest id of a transaction, in bytes.
pub const ID_BYTES_MAX: usize = 255;

/// How long a user of another server is typing if nothing more is heard, as in Synapse.
pub const TYPING_TIME: Duration = Duration::from_secs(60);

/// Receipts of one transaction that are looked at: a transaction's bytes would hold many thousand, each with reads
/// of its own.
pub const RECEIPTS_MAX: usize = 1_000;

/// Presence updates of one transaction that are looked at.
pub const PRESENCE_UPDATES_MAX: usize = 500;
