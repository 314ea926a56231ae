//! The bounds of sending, each with its reason.

use std::time::Duration;

/// PDUs of one transaction (specification, "Transactions").
pub const PDUS_MAX: usize = 50;

/// EDUs of one transaction (specification).
pub const EDUS_MAX: usize = 100;

/// Bytes of events in one transaction: with a bounded number of transactions at a time, the memory for them.
pub const TRANSACTION_BYTES_MAX: usize = 512 * 1024;

/// Events that wait for one server one by one, 16 bytes each. When there are more, the server is behind and gets
/// the newest of each room instead.
pub const EVENTS_WAITING_MAX: usize = 200;

/// Events that wait for all servers, 16 bytes each: 1.6 MB.
pub const EVENTS_WAITING_TOTAL_MAX: usize = 100_000;

/// How long a server may fail before what waits for it is not kept in memory any more.
pub const FAILING_TIME_MAX: Duration = Duration::from_secs(600);

/// Transactions under way to servers that answered last time.
pub const TRANSACTIONS_MAX: usize = 48;

/// Transactions under way to servers that did not: each may hold a connection until it times out, and they must not
/// keep the others waiting.
pub const RETRIES_MAX: usize = 16;

/// The pause after a server answered with an error that is no outage; doubled with each further one.
pub const REFUSED_PAUSE_MIN: Duration = Duration::from_secs(10);

/// The greatest pause of that kind.
pub const REFUSED_PAUSE_MAX: Duration = Duration::from_secs(3600);

/// How often a server may refuse a transaction for what it contains before that is given up: a transaction that
/// can't be read must not stop all later ones.
pub const REFUSALS_MAX: u32 = 3;

/// Rows of the outbox that are worked off before others get a turn.
pub const OUTBOX_ROWS_AT_ONCE: usize = 200;

/// Rows worked off between two removals from the outbox.
pub const OUTBOX_PRUNE_EVERY: u64 = 64;

/// Rows that the outbox keeps for servers that lag; beyond, they count as behind.
pub const OUTBOX_ROWS_MAX: u64 = 20_000;

/// Positions for which it is remembered which server left a room, beyond what the outbox needs: an event that is
/// passed on for another server gets into it a little later than it got into the room.
pub const DEPARTURES_KEPT: u64 = 10_000;

/// News in memory for one server (typing, receipts, presence); some 200 bytes each.
pub const VOLATILE_EDUS_MAX: usize = 500;

/// Presence updates in one EDU.
pub const PRESENCE_UPDATES_MAX: usize = 100;

/// News that wait to be given to the servers they are for.
pub const NEWS_WAITING_MAX: usize = 10_000;

/// How long a receipt waits for others, for each server that it goes to: who has read what is worth no more than
/// some 50 requests a second.
pub const RECEIPT_PAUSE_PER_SERVER: Duration = Duration::from_millis(20);

/// The longest such pause.
pub const RECEIPT_PAUSE_MAX: Duration = Duration::from_secs(30);

/// How often other servers are told that somebody is still typing: they forget it after some time.
pub const TYPING_REPEAT: Duration = Duration::from_secs(25);

/// Rooms of a user in which other servers are told of the user's presence.
pub const PRESENCE_ROOMS_MAX: usize = 2_000;
