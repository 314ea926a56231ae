//! The rooms' bounds, each with its reason.

/// Room records kept in memory: each is small, and nearly every request needs one.
pub const ROOM_RECORDS_CACHED_MAX: usize = 4_096;

/// Bytes that a cached event is counted with beside its JSON: the parsed fields.
pub const EVENT_CACHE_ENTRY_BYTES: u64 = 512;
