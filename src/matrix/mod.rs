//! The rules of the Matrix protocol, with no I/O.
//!
//! This folder knows what an event is in every room version 1 to 12, how it is hashed, signed, redacted
//! and shown to clients, and who may send it. It never reads a clock, a disk, the network or a source of
//! randomness; it holds no state. What differs between room versions stands in ruma's
//! `RoomVersionRules`, which [`room_versions::rules`] returns. Its main type is [`event::Event`].

pub mod auth_rules;
pub mod builder;
pub mod canonical_json;
pub mod client_format;
pub mod event;
pub mod glob;
pub mod hashes;
pub mod ids;
pub mod limits;
pub mod power_levels;
mod raw_object;
pub mod redaction;
pub mod request_signing;
pub mod room_versions;
pub mod signing;
#[cfg(test)]
pub(crate) mod test_rooms;

pub use auth_rules::{AuthError, AuthRefusal, AuthState};
pub use builder::{EventDraft, EventReference};
pub use event::Event;
pub use signing::SigningKey;
