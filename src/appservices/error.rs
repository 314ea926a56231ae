//! What can go wrong on the way to an application service.

use crate::{rooms::RoomError, storage::StorageError};

/// Why something could not be queued or put together.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// An event could not be read.
    #[error(transparent)]
    Room(#[from] RoomError),
    /// A content could not be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}
