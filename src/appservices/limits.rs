//! Bounds on what is sent to application services.

use std::time::Duration;

/// Events in one transaction. An event has at most 64 KiB, so a transaction at most 6 MiB and mostly 100 KiB.
pub const TRANSACTION_ITEMS_MAX: usize = 100;

/// How long an application service may take for a transaction: some answer only when a slow network has taken all.
pub const TRANSACTION_TIME_MAX: Duration = Duration::from_secs(180);

/// How long it may take for a ping or a query: a user waits.
pub const QUERY_TIME_MAX: Duration = Duration::from_secs(10);

/// Batches of unknown users that application services are asked for at the same time; with more, they are told of
/// what happened without being asked first.
pub const USER_QUERIES_MAX: usize = 16;

/// Bytes of an answer that are read: answers to queries are small, lists of locations may be longer.
pub const RESPONSE_BYTES_MAX: u64 = 1 << 20;

/// The pause after a failure; it doubles with each further one.
pub const RETRY_PAUSE_MIN: Duration = Duration::from_secs(1);

/// The longest pause: a bridge that is started again waits no longer for what it has missed.
pub const RETRY_PAUSE_MAX: Duration = Duration::from_secs(300);

/// Typing, receipts and presence are of the moment: with so much waiting they are not queued any more.
pub const EPHEMERAL_QUEUED_MAX: u64 = 5_000;

/// Rooms whose interested application services are remembered: some hundred bytes each.
pub const ROOMS_REMEMBERED_MAX: usize = 10_000;

/// Users whose presence changed that are waiting for the router.
pub const PRESENCE_USERS_MAX: usize = 1_000;

/// Rooms of a user that are looked at to find whom the user's presence concerns.
pub const PRESENCE_ROOMS_EXAMINED_MAX: usize = 1_000;

/// Rooms with typing news that are waiting for the router.
pub const TYPING_ROOMS_MAX: usize = 1_000;
