//! What can go wrong with events that are sent later.

use crate::{rooms::RoomError, storage::StorageError};

/// An error of [`DelayedEvents`](super::DelayedEvents).
#[derive(Debug, thiserror::Error)]
pub enum DelayedError {
    /// Sending it failed, or it could never be sent.
    #[error(transparent)]
    Room(#[from] RoomError),
    /// A delay of nothing.
    #[error("the delay must be at least one millisecond")]
    NoDelay,
    /// A longer delay than the operator allows.
    #[error("the longest delay is {delay_ms_max} ms")]
    TooLate {
        /// The longest delay, in milliseconds; 0 for none at all.
        delay_ms_max: u64,
    },
    /// The user has scheduled as many events as one may.
    #[error("you have scheduled as many events as one may")]
    TooMany {
        /// When the first of them will be sent, in milliseconds from now.
        next_in_ms: u64,
    },
    /// There is no such event, or no longer.
    #[error("there is no delayed event with this id")]
    NotFound,
    /// It can't be cancelled or restarted.
    #[error("the event was sent already")]
    AlreadySent,
    /// It can't be sent or restarted.
    #[error("the event was cancelled already")]
    AlreadyCancelled,
}

impl From<StorageError> for DelayedError {
    fn from(error: StorageError) -> Self {
        Self::Room(error.into())
    }
}
