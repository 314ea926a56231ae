//! What can go wrong with rooms.

use crate::{matrix::event::EventFormatError, state::tree::TreeError, storage::StorageError};

/// An error of the rooms' services.
#[derive(Debug, thiserror::Error)]
pub enum RoomError {
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A state tree could not be read.
    #[error("a room's state could not be read: {0}")]
    State(#[from] TreeError<StorageError>),
    /// A stored event is not what it was when it was written.
    #[error("the stored event {event_id} can't be read: {source}")]
    CorruptEvent {
        /// The event.
        event_id: ruma::OwnedEventId,
        /// What is wrong.
        source: EventFormatError,
    },
    /// A room's version is not one that this program knows.
    #[error("the room's version {0} is not supported")]
    UnknownVersion(ruma::RoomVersionId),
}
