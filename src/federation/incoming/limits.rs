//! The bounds of what is taken in from other servers, each with its reason.

use std::time::Duration;

/// PDUs of one transaction (specification: 50).
pub const TRANSACTION_PDUS_MAX: usize = 50;

/// Bytes of a PDU's text as it is sent: twice what it may have in canonical form, for white space and escapes.
pub const INBOUND_PDU_TEXT_BYTES_MAX: usize = 128 * 1024;

/// Bytes of PDUs that wait to be worked off. What is refused comes again when something follows it.
pub const INBOUND_QUEUE_BYTES_MAX: usize = 64 << 20;

/// Bytes of PDUs of one server that wait: none takes more than a part of the whole.
pub const INBOUND_QUEUE_SERVER_BYTES_MAX: usize = 8 << 20;

/// Received events that are worked on in the store at a time: each holds a thread, and rooms are written one
/// transaction at a time.
pub const INBOUND_WORKING_MAX: usize = 4;

/// Gaps that are filled at a time; each may hold [`INBOUND_ANCESTORS_MAX`] events.
pub const INBOUND_FILLING_MAX: usize = 16;

/// Of these, how many are of what one server sends: a server that answers slowly must not keep all others waiting.
pub const INBOUND_FILLING_SERVER_MAX: usize = 4;

/// Servers whose places are remembered before those that none is taken of are forgotten.
pub const INBOUND_FILLING_SERVERS_REMEMBERED: usize = 64;

/// Pages of history that are fetched at a time, for readers who wait.
pub const HISTORIES_MAX: usize = 4;

/// Whole states that are fetched at a time: each may have [`INBOUND_STATE_BYTES_MAX`] in memory.
pub const INBOUND_WHOLE_STATES_MAX: usize = 1;

/// Time for filling one gap, all questions included.
pub const INBOUND_FILL_TIME_MAX: Duration = Duration::from_secs(120);

/// Pauses before an event is tried again whose ancestors' servers could not be reached, or whose room is being
/// joined just then. Only what the same server sends of the same room waits meanwhile.
pub const INBOUND_RETRY_PAUSES: [Duration; 3] =
    [Duration::from_secs(2), Duration::from_secs(15), Duration::from_secs(60)];

/// How long after its arrival an event is tried again with pauses between. Without that, each event of a lane would
/// wait anew, and what one room lacks would fill its sender's part of the queue for all rooms.
pub const INBOUND_RETRY_AGE_MAX: Duration = Duration::from_secs(600);

/// Servers that are asked for what an event lacks.
pub const INBOUND_SERVERS_ASKED_MAX: usize = 4;

/// Rounds of questions for one gap.
pub const INBOUND_ROUNDS_MAX: usize = 10;

/// Events asked for in one round; servers answer 20 or fewer.
pub const INBOUND_ANCESTORS_PER_ROUND: u32 = 20;

/// Events that are fetched to fill one gap. Beyond it the state before the gap's end is fetched instead.
pub const INBOUND_ANCESTORS_MAX: usize = 100;

/// Events named on either side of a question for missing events.
pub const INBOUND_LATEST_MAX: usize = 20;

/// Events of a room's history that are asked for at a time: what a client shows in a few pages.
pub const HISTORY_EVENTS_PER_REQUEST: u32 = 100;

/// Time in which a reader who has come to the end of what is known waits for older history.
pub const HISTORY_TIME_MAX: Duration = Duration::from_secs(30);

/// Attempts to put one server's page of history into place, between which what it lacks is fetched.
pub const HISTORY_ROUNDS_MAX: usize = 8;

/// Auth chains that are fetched to fill one gap.
pub const INBOUND_AUTH_CHAINS_MAX: usize = 10;

/// States that are fetched to fill one gap.
pub const INBOUND_STATES_MAX: usize = 3;

/// Entries of a state, and events of its auth chain: a room of 200,000 members has about as many.
pub const INBOUND_STATE_EVENTS_MAX: usize = 250_000;

/// Bytes of such a state, which is held in memory until it is checked.
pub const INBOUND_STATE_BYTES_MAX: u64 = 64 << 20;

/// Events of a state that are fetched one by one; if more are missing, the whole state is fetched.
pub const INBOUND_SINGLE_EVENTS_MAX: usize = 100;

/// Of these, how many are asked for at a time.
pub const INBOUND_SINGLE_AT_ONCE: usize = 5;
