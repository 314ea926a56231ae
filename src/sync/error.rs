//! What can go wrong with a sync.

use crate::{rooms::RoomError, storage::StorageError};

/// An error of sync.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The filter id is not one of the user's.
    #[error("there is no filter {0}")]
    UnknownFilter(String),
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
