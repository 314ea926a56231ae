//! The bounds of the protocol layer, each with its reason.
//!
//! What the specification fixes is named with its section; the others are ours.

/// Bytes of a whole PDU as canonical JSON in the federation format, signatures included
/// ([size limits]).
///
/// [size limits]: https://spec.matrix.org/v1.19/client-server-api/#size-limits
pub const PDU_BYTES_MAX: usize = 65_536;

/// Bytes of an identifier, an event type or a state key ([size limits]).
///
/// [size limits]: https://spec.matrix.org/v1.19/client-server-api/#size-limits
pub const ID_BYTES_MAX: usize = 255;

/// Entries of `prev_events` (PDU format of every room version).
pub const PREV_EVENTS_MAX: usize = 20;

/// Entries of `auth_events` (PDU format of every room version).
pub const AUTH_EVENTS_MAX: usize = 10;

/// Levels of objects and arrays inside one JSON document.
///
/// Ours: `serde_json` refuses 128 levels, and an event is wrapped in a few more when a transaction or
/// a state answer carries it, so that an event within this bound can always be forwarded and read.
pub const JSON_DEPTH_MAX: usize = 100;

/// The largest integer that strict canonical JSON can hold, `2^53 - 1`; the smallest is its negative.
pub const CANONICAL_INTEGER_MAX: i64 = (1 << 53) - 1;

/// Public keys of an `m.room.third_party_invite` that are tried against a signature.
///
/// Ours: each try costs an ed25519 verification, so an event full of keys must not cost seconds.
/// Identity servers publish two keys (long-term and ephemeral).
pub const THIRD_PARTY_INVITE_KEYS_MAX: usize = 16;

/// Signatures in `third_party_invite.signed` that are tried; with the bound above at most 256
/// verifications for one event.
pub const THIRD_PARTY_INVITE_SIGNATURES_MAX: usize = 16;

/// Signatures of one server on one event that are looked at; a server signs with one key, or with two
/// while it changes keys.
pub const SIGNATURES_PER_SERVER_MAX: usize = 16;

/// The longest time for which an event may be sticky, in milliseconds (MSC4354): an hour.
pub const STICKY_MS_MAX: u64 = 3_600_000;
