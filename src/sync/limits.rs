//! The bounds of sync, each with its reason.

use std::time::Duration;

/// Events in a room's timeline when the filter names no limit: what a screen shows.
pub const TIMELINE_EVENTS_DEFAULT: usize = 10;

/// Most events in a room's timeline, whatever the filter asks for: `/messages` is there for more.
pub const TIMELINE_EVENTS_MAX: usize = 500;

/// Timeline rows looked at for one room: a filter or a visibility rule that hides nearly everything ends
/// in a gap, which the client may fill, and not in a walk through the room's history.
pub const TIMELINE_ROWS_SCANNED_MAX: usize = 2_000;

/// Rows after the end of a span that are passed one by one before its end is sought: mostly there is none, or a few
/// that came while the answer is made; but a room that was left long ago may have a hundred thousand.
pub const TIMELINE_ROWS_PASSED_MAX: usize = 16;

/// Own membership changes of one room that are told apart in one answer; more are taken as "left and came
/// back", which sends the room afresh.
pub const OWN_CHANGES_EXAMINED_MAX: usize = 16;

/// Members named to make up a room's name ("This should be the first 5 members").
pub const HEROES_MAX: usize = 5;

/// The longest wait for news, whatever the client asks for: proxies cut idle connections after a minute.
pub const WAIT_MAX: Duration = Duration::from_secs(60);

/// Requests of one device that may wait at the same time: sync v3 beside a few sliding-sync connections. One
/// more ends the oldest wait.
pub const WAITERS_PER_DEVICE_MAX: usize = 8;

/// Looks for news of one account that are under way at the same time: a quarter of the threads that may block. The
/// account's further clients wait for them.
pub const LOOKS_PER_ACCOUNT_MAX: usize = 4;

/// Changed rooms and users that wait for the notifier's thread. With more, it wakes everybody instead.
pub const PENDING_CHANGES_MAX: usize = 16_384;

/// Devices whose lazily loaded members are remembered; a forgotten device gets some members again.
pub const LAZY_DEVICES_MAX: usize = 256;

/// Members remembered for one device, at about 40 bytes each.
pub const LAZY_MEMBERS_PER_DEVICE_MAX: usize = 512;

/// Paths taken of `event_fields`: each is looked up in every event.
pub const EVENT_FIELDS_MAX: usize = 1_000;

/// To-device messages in one answer (specification: "100 messages is recommended").
pub const TO_DEVICE_EVENTS_MAX: usize = 100;

/// Rooms of two users that are compared to find one they share. With more, they are taken to share one: being told
/// of a change too many costs a client one request.
pub const SHARED_ROOMS_EXAMINED_MAX: usize = 4_096;

/// Members of a room without encryption whom a user who joins it is told to look at. Of larger ones nobody's keys
/// are of use, and when such a room becomes encrypted its members are told then.
pub const UNENCRYPTED_MEMBERS_TOLD_MAX: u64 = 1_000;

/// Users looked at in one answer who may share no room with the viewer any more. Those beyond are not told to have
/// left, which is harmless: they are told as changed when they come back.
pub const LEFT_USERS_EXAMINED_MAX: usize = 2_000;

/// Bytes of a `conn_id`: clients send it with every request, and it is part of a key.
pub const CONNECTION_ID_BYTES_MAX: usize = 64;

/// Lists of one sliding-sync request (MSC4186).
pub const LISTS_MAX: usize = 100;

/// Ranges of one list: each place of each is looked at.
pub const RANGES_MAX: usize = 20;

/// Single rooms of one sliding-sync request (MSC4186).
pub const SUBSCRIPTIONS_MAX: usize = 100;

/// Entries of a `required_state`: each is looked for in each room.
pub const REQUIRED_STATE_MAX: usize = 200;

/// Most events in a room's timeline in sliding sync, where many rooms stand in one answer.
pub const SLIDING_TIMELINE_MAX: usize = 100;

/// What a connection is counted with that has told nothing: its entries in the tables, locks and strings.
pub const CONNECTION_BYTES: usize = 512;

/// The connections' share of sliding sync's memory, in thirds; the rest are the orders of users' rooms. A connection
/// has about 150 bytes a room that was told, an order 100 a room. Who is forgotten starts anew, or is read again.
pub const CONNECTIONS_MEMORY_THIRDS: usize = 2;

/// Memory of sliding sync where nobody says how much: 70,000 rooms that were told, and the orders of 50,000.
pub const SLIDING_MEMORY_BYTES_DEFAULT: usize = 16 << 20;

/// Connections of one device: Element X has two, and one more for each notification it looks up.
pub const CONNECTIONS_PER_DEVICE_MAX: usize = 16;

/// Wanted states of one connection that its rooms share. More only cost memory.
pub const REQUIRED_STATES_SHARED_MAX: usize = 64;

/// Lazily loaded members remembered of one room of a connection; with more, some are told again.
pub const SLIDING_MEMBERS_KNOWN_MAX: usize = 100;

/// Spaces whose children are kept in memory for one user's filters.
pub const SPACES_REMEMBERED_MAX: usize = 64;

/// Changes of threads that a user follows in one answer, as MSC4308 has it by default.
pub const SUBSCRIPTIONS_TOLD_MAX: usize = 100;

/// Sticky events in one answer, as MSC4480 has it by default.
pub const STICKY_EVENTS_MAX: usize = 100;
