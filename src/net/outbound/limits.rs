//! The bounds of outgoing requests, each with its reason.

use std::time::Duration;

/// Connections open at a time, idle ones included. Each has some 30 KiB of TLS and HTTP buffers, so all are
/// some 8 MiB. When all are taken, the one that has been idle for longest makes room.
pub const CONNECTIONS_MAX: usize = 256;

/// Requests at a time to one host: a slow host must not take everybody's connections.
pub const REQUESTS_PER_HOST_MAX: usize = 16;

/// Idle HTTP/1 connections that are kept for one host.
pub const IDLE_PER_HOST_MAX: usize = 4;

/// How long an idle connection is kept: longer than the pauses within a conversation between two servers, and
/// shorter than what most servers allow.
pub const IDLE_TIME_MAX: Duration = Duration::from_secs(45);

/// How long to wait for the previous answer of a reused connection to come to its end before a new connection
/// is made instead.
pub const REUSE_WAIT_MAX: Duration = Duration::from_millis(200);

/// The time for a TCP connection to one address, and for a TLS handshake.
pub const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// The head start of an address before the next one of the same host is tried beside it (RFC 8305 recommends
/// 250 ms).
pub const NEXT_ADDRESS_DELAY: Duration = Duration::from_millis(250);

/// Places (host and port) of one origin that are tried: as many as an SRV record sensibly names.
pub const ENDPOINTS_MAX: usize = 4;

/// Addresses of one host that are tried.
pub const ADDRESSES_MAX: usize = 8;

/// How long an answer may pause: what drips more slowly is given up before its whole time is over.
pub const ANSWER_STALLED_TIME_MAX: Duration = Duration::from_secs(30);

/// Bytes that a connection buffers; also bounds the head of an HTTP/1 answer.
pub const CONNECTION_BUFFER_BYTES: usize = 64 * 1024;

/// Bytes of the head of an HTTP/2 answer.
pub const HTTP2_HEAD_BYTES_MAX: u32 = 32 * 1024;

/// Bytes that a server may send ahead on one HTTP/2 stream, and on a connection. It bounds the speed of a
/// download to this much per round trip.
pub const HTTP2_STREAM_WINDOW_BYTES: u32 = 256 * 1024;

/// See [`HTTP2_STREAM_WINDOW_BYTES`].
pub const HTTP2_CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

/// DNS lookups under way at a time. A join of a large room asks for thousands of names; small routers that
/// also are DNS servers drop what comes faster.
pub const LOOKUPS_MAX: usize = 24;

/// Names that may wait for a lookup; further ones fail at once.
pub const LOOKUPS_WAITING_MAX: usize = 8_192;

/// Names whose answers are remembered, per kind of record; some 200 bytes each.
pub const ANSWERS_MAX: usize = 8_192;

/// Records of one answer that are kept.
pub const RECORDS_MAX: usize = 16;

/// The least time for which an answer is taken as it is, whatever its TTL says.
pub const ANSWER_TIME_MIN: Duration = Duration::from_secs(10);

/// The greatest time for which an answer is taken as it is.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(24 * 3600);

/// How long an old answer is used while the DNS servers do not answer: an outage of the resolver must not cut
/// the server off from hosts that it knows.
pub const STALE_TIME_MAX: Duration = Duration::from_secs(24 * 3600);

/// How long to wait for a new answer where there is an old one.
pub const STALE_WAIT: Duration = Duration::from_millis(1_500);

/// How long it is remembered that a name does not exist, at least and at most. The least is what holds where DNS
/// names no time: shorter than the pause after which a server that failed is tried again, or that would be in vain.
pub const NO_NAME_TIME_MIN: Duration = Duration::from_secs(5);

/// See [`NO_NAME_TIME_MIN`].
pub const NO_NAME_TIME_MAX: Duration = Duration::from_secs(3600);

/// How long it is remembered that a lookup failed: this much, doubled for each failure in a row.
pub const FAILURE_TIME_MIN: Duration = Duration::from_secs(5);

/// The greatest time of that kind.
pub const FAILURE_TIME_MAX: Duration = Duration::from_secs(300);

/// The time for one question to one DNS server, and how often it is repeated.
pub const LOOKUP_TIME_MAX: Duration = Duration::from_secs(4);

/// See [`LOOKUP_TIME_MAX`].
pub const LOOKUP_ATTEMPTS: usize = 2;

/// How often it is looked whether `/etc/resolv.conf` or `/etc/hosts` have changed.
pub const SYSTEM_FILES_CHECK_INTERVAL: Duration = Duration::from_secs(5);
