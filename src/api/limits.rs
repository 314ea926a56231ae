//! The API's bounds, each with its reason.

use std::time::Duration;

/// Levels of nesting in a body at most: no endpoint needs more than a handful, events that people send stay far
/// below, and parsers that recurse stay far from the end of a thread's stack.
pub const JSON_DEPTH_MAX: usize = 100;

/// The JSON of an event's content at most, in bytes as the client wrote it. An event has at most 64 KiB, which
/// escapes and white space make longer; what is much longer would be worked through only to be refused.
pub const CONTENT_JSON_BYTES_MAX: usize = 512 * 1024;

/// Events read at once for an answer that holds a whole room: a few hundred KiB as a rule.
pub const STREAMED_EVENTS_READ_AT_ONCE: usize = 256;

/// Batches of such an answer that wait to be sent.
pub const STREAM_BATCHES_WAITING_MAX: usize = 2;

/// How long such an answer waits for a reader that takes nothing.
pub const STREAM_READER_WAITED_FOR: Duration = Duration::from_secs(60);

/// Keys of a backup that are read at once: some hundred KiB.
pub const BACKUP_KEYS_PER_PAGE: usize = 500;

/// How long other servers are asked for keys if the client does not say (recommended by the specification).
pub const KEY_QUERY_TIME_DEFAULT: Duration = Duration::from_secs(10);

/// Users whose keys one request asks for: all members of a large room.
pub const KEY_QUERY_USERS_MAX: usize = 10_000;

/// Pages of a room's history that are fetched from other servers to find the event of a time before what is known.
pub const HISTORY_PAGES_FOR_TIME_MAX: usize = 5;

/// Messages for a dehydrated device in one answer: all of a day's as a rule.
pub const DEHYDRATED_EVENTS_MAX: usize = 500;
