//! The store's bounds, each with its reason.

/// Free bytes that writes never use: compaction and the log need room to work on a full disk.
pub const FREE_SPACE_RESERVE_BYTES: u64 = 32 << 20;

/// On small file systems the reserve is this part of the whole (1/16), so that a small volume stays usable.
pub const FREE_SPACE_RESERVE_DIVISOR: u64 = 16;

/// Files that the engine keeps open: each costs a descriptor and its index in memory.
pub const OPEN_FILES_MAX: i32 = 256;

/// Rows fetched by one multi-get: bounds the memory of a single call.
pub const MULTI_GET_KEYS_MAX: usize = 1_024;

/// Decoded text kept by a short id's cache entry beside the text itself, in bytes.
pub const SHORT_ID_CACHE_ENTRY_BYTES: u64 = 64;
