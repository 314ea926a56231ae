//! The bounds of push rules and unread counts, each with its reason.

/// Rules that a user may add: all are tried on every event that the user is told of.
pub const USER_RULES_MAX: usize = 1_000;

/// Bytes of a user's rules as JSON: they travel in sync as one event.
pub const RULES_BYTES_MAX: usize = 65_536;

/// Characters of a pattern with wildcards: the matcher keeps one bit for each in a `u128`.
pub const GLOB_CHARACTERS_MAX: usize = 127;

/// Users whose rules are kept parsed, a few KiB each.
pub const RULESETS_CACHED_MAX: usize = 512;

/// Events tried on a user's rules when the user looks at a room; of a longer absence only the newest are.
pub const EVENTS_EVALUATED_MAX: usize = 1_000;

/// Unread notifications that are told apart in one room; counts go no further.
pub const UNREAD_KEPT_MAX: usize = 1_000;

/// Events evaluated since a room's row was last written before it is written again. Up to so many are
/// evaluated afresh when the memory of them is lost.
pub const EVENTS_UNWRITTEN_MAX: u32 = 64;

/// Users' rooms whose unread events are kept in memory.
pub const UNREAD_CACHED_MAX: usize = 8_192;

/// Relations followed to find an event's thread ("a maximum of 3 hops").
pub const THREAD_HOPS_MAX: usize = 3;
