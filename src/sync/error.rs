//! What can go wrong with a sync.

use crate::{rooms::RoomError, storage::StorageError};

/// An error of sync.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The filter id is not one of the user's.
    #[error("there is no filter {0}")]
    UnknownFilter(String),
    /// The connection was forgotten, or the position is none of its last two.
    #[error("the position is not known; start the connection anew")]
    UnknownPosition,
    /// More than this server works through for one request.
    #[error("more than {max} {what}")]
    TooMuchAsked {
        /// What there is too much of.
        what: &'static str,
        /// How much may be.
        max: usize,
    },
    /// A range ends before it starts.
    #[error("a range ends before it starts")]
    InvalidRange,
    /// The `since` of to-device messages was not given out by this server.
    #[error("`since` of to_device is not a token of this server")]
    InvalidSince,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandomness,
    /// A room could not be read.
    #[error(transparent)]
    Room(#[from] RoomError),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A part of the answer could not be written as JSON.
    #[error("a part of the answer could not be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}
