//! Rooms: their events, state, members, history, names and listing.
//!
//! Reading starts from [`EventStore`] (events by id), [`RoomStates`] (states by root) and [`RoomIndex`]
//! (records, heads, memberships by room and user). Everything that changes a room's graph goes through the
//! appender, one writer a room. Nothing here speaks HTTP.

mod error;
mod events;
mod index;
pub mod limits;
mod states;

pub use error::RoomError;
pub use events::{EventStore, StoredEvent};
pub use index::RoomIndex;
pub use states::RoomStates;
