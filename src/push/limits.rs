//! The bounds of push rules, unread counts and pushers, each with its reason.

use std::time::Duration;

/// Rules that a user may add: all are tried on every event that the user is told of.
pub const USER_RULES_MAX: usize = 1_000;

/// Bytes of a user's rules as JSON: they travel in sync as one event.
pub const RULES_BYTES_MAX: usize = 65_536;

/// Characters of a pattern with wildcards: the matcher keeps one bit for each in a `u128`.
pub const GLOB_CHARACTERS_MAX: usize = 127;

/// Characters of a pattern without wildcards, which is more than a display name or an id has: each place of a text
/// where it begins may be compared with all of it.
pub const LITERAL_CHARACTERS_MAX: usize = 512;

/// Users whose rules are kept parsed, a few KiB each.
pub const RULESETS_CACHED_MAX: usize = 512;

/// Events tried on a user's rules when the user looks at a room; of a longer absence only the newest are.
pub const EVENTS_EVALUATED_MAX: usize = 1_000;

/// Unread notifications that are told apart in one room; counts go no further.
pub const UNREAD_KEPT_MAX: usize = 1_000;

/// Events evaluated since a room's row was last written before it is written again. Up to so many are
/// evaluated afresh when the memory of them is lost.
pub const EVENTS_UNWRITTEN_MAX: u32 = 64;

/// Users' rooms whose unread events are kept in memory, about.
pub const UNREAD_CACHED_MAX: usize = 8_192;

/// Bytes of them, all together: rooms that nobody reads have up to [`UNREAD_KEPT_MAX`] of 32 bytes each, and an
/// account may be in thousands.
pub const UNREAD_CACHED_BYTES_MAX: u64 = 8 << 20;

/// Bytes that a room is counted with that has nothing unread.
pub const UNREAD_ROOM_BYTES: usize = 256;

/// Pushers that a user may have: one an application and device.
pub const PUSHERS_PER_USER_MAX: usize = 64;

/// The longest push key, in bytes (specification).
pub const PUSHKEY_BYTES_MAX: usize = 512;

/// The longest application id, in bytes (specification).
pub const APP_ID_BYTES_MAX: usize = 64;

/// The largest `data` of a pusher, in bytes of JSON: it is sent with each notification.
pub const PUSHER_DATA_BYTES_MAX: usize = 8 * 1024;

/// The longest of a pusher's other texts, in bytes.
pub const PUSHER_TEXT_BYTES_MAX: usize = 1_024;

/// Notifications that wait for one gateway; when there are more, the oldest is dropped. Nobody reads so many.
pub const PUSHES_QUEUED_MAX: usize = 500;

/// How long a notification waits for its gateway, in milliseconds: three days.
pub const PUSH_AGE_MS_MAX: u64 = 3 * 24 * 3_600 * 1_000;

/// Notifications that are being sent at the same time.
pub const PUSHES_CONCURRENT_MAX: usize = 16;

/// How long a gateway may take to answer.
pub const GATEWAY_TIME_MAX: Duration = Duration::from_secs(30);

/// The longest answer of a gateway, in bytes.
pub const GATEWAY_ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// How long it is tried whether a new pusher's gateway is at an address that may be connected to.
pub const GATEWAY_CHECK_TIME_MAX: Duration = Duration::from_secs(3);

/// The pause after the first failure; it doubles with each.
pub const RETRY_PAUSE_FIRST: Duration = Duration::from_secs(1);

/// The longest pause between two attempts.
pub const RETRY_PAUSE_MAX: Duration = Duration::from_secs(3_600);

/// Rooms whose members with pushers are remembered.
pub const PUSHED_ROOMS_CACHED_MAX: usize = 4_096;

/// Positions that may pass before it is written down that nothing had to be pushed.
pub const SCANNED_UNWRITTEN_MAX: u64 = 512;

/// Relations followed to find an event's thread ("a maximum of 3 hops").
pub const THREAD_HOPS_MAX: usize = 3;

/// Notifications in one answer.
pub const NOTIFICATIONS_PAGE_MAX: usize = 100;

/// Events tried on a user's rules for one page of notifications: in busy rooms few notify, and the client is told
/// where to go on.
pub const NOTIFICATIONS_EVALUATED_MAX: usize = 2_000;
