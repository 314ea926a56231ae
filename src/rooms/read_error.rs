//! Why a room could not be read as asked.

use super::RoomError;
use crate::storage::StorageError;

/// An error of the services that read rooms for users.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The reader is not in the room, was never in it, or there is no such room: which of them is not told.
    #[error("You are not in this room")]
    NotInRoom,
    /// What was asked for does not exist, or the reader may not see it.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// A pagination token that this server did not give.
    #[error("`{0}` is not a token of this server")]
    InvalidToken(String),
    /// The room's data could not be read.
    #[error(transparent)]
    Room(#[from] RoomError),
}

impl From<StorageError> for ReadError {
    fn from(error: StorageError) -> Self {
        Self::Room(error.into())
    }
}
