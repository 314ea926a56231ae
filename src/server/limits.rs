//! The bounds of the server's shell, each with its reason.

use std::time::Duration;

use crate::users::limits::{PASSWORD_HASHES_CONCURRENT_MAX, PASSWORD_HASHES_WAITING_MAX};

/// Worker threads of the runtime at most. A Pi has four cores; more threads only cost memory, as the
/// work is bounded by the disk.
pub const WORKER_THREADS_MAX: usize = 4;

/// Threads for blocking work (password hashes, signals of the disk) at most; each has a stack.
pub const BLOCKING_THREADS_MAX: usize = 16;

// However many people (or guessing programs) log in at once, half of the threads are left for others.
const _: () = assert!(
    2 * (PASSWORD_HASHES_CONCURRENT_MAX + PASSWORD_HASHES_WAITING_MAX) <= BLOCKING_THREADS_MAX,
    "waiting for passwords to be hashed must not take all blocking threads"
);

/// An idle blocking thread ends after this.
pub const BLOCKING_THREAD_IDLE: Duration = Duration::from_secs(10);

/// The time from the first byte that could come to the last byte of a request's head; also the longest
/// pause between two requests of an HTTP/1 connection.
pub const REQUEST_HEAD_TIME_MAX: Duration = Duration::from_secs(60);

/// The time for a TLS handshake.
pub const TLS_HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(15);

/// How often it is looked whether the TLS certificate was renewed.
pub const CERTIFICATE_CHECK_INTERVAL: Duration = Duration::from_secs(60);

/// How long a client may take nothing of an answer that is being sent.
pub const ANSWER_STALLED_TIME_MAX: Duration = Duration::from_secs(60);

/// The time for reading a request's body. A phone on a bad line sends 8 MiB at 70 KiB a second.
pub const REQUEST_BODY_TIME_MAX: Duration = Duration::from_secs(120);

/// Bodies that are read or handled at a time may have this many times the size of the largest body, all
/// together. Who comes when that is used up is asked to come again.
pub const REQUEST_BODIES_BUDGET_FACTOR: u64 = 4;

/// Bodies up to this length, in bytes (and up to a sixteenth of the largest allowed), have places of their
/// own: a few clients that send large bodies slowly must not keep everybody's messages out.
pub const SMALL_BODY_BYTES_MAX: u64 = 16 * 1024;

/// Small bodies that are held at the same time, 8 MiB at most; further ones share the large ones' budget.
pub const SMALL_BODIES_MAX: usize = 512;

/// Bytes that a connection buffers for reading (HTTP/1: this also bounds a request's head) and writing.
pub const CONNECTION_BUFFER_BYTES: usize = 64 * 1024;

/// Bytes of a request's head on HTTP/2.
pub const HTTP2_HEAD_BYTES_MAX: u32 = 32 * 1024;

/// Requests at a time on one HTTP/2 connection: a client's long poll and a few others.
pub const HTTP2_STREAMS_MAX: u32 = 64;

/// Bytes that an HTTP/2 client may send ahead, per stream and per connection.
pub const HTTP2_WINDOW_BYTES: u32 = 256 * 1024;

/// An idle HTTP/2 connection is asked after this time whether it is still there.
pub const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(60);

/// How long an HTTP/2 client may take to answer such a question.
pub const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(20);

/// The time for requests to end once the server is told to stop.
pub const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);

/// The time for work on blocking threads to end after that.
pub const RUNTIME_STOP_TIME_MAX: Duration = Duration::from_secs(5);

/// The pause after the system refused to accept a connection (no file descriptors left, mostly): long
/// enough to leave the processor alone, short enough not to be felt.
pub const ACCEPT_RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Answers below this are not compressed: there is nothing to win within one packet.
pub const COMPRESSED_BYTES_MIN: u64 = 1_400;

/// How many open files the process asks for, if the system allows it: connections and the database.
pub const OPEN_FILES_WANTED: u64 = 65_536;

/// How long browsers may remember the answer to a CORS preflight.
pub const CORS_MAX_AGE: Duration = Duration::from_secs(86_400);
