//! Why another server is not answered as it asked.

use ruma::{OwnedServerName, OwnedUserId, RoomVersionId};

use crate::{rooms::RoomError, storage::StorageError};

/// An error of [`Resident`](super::Resident).
#[derive(Debug, thiserror::Error)]
pub enum ResidentError {
    /// This server does not know the room, or has nobody in it any more.
    #[error("This server is not in such a room")]
    UnknownRoom,
    /// This server does not have the event, or the other may not see it: which of them is not told.
    #[error("Event not found")]
    UnknownEvent,
    /// The room's server access control list denies the server.
    #[error("{0} is denied access to this room by its access control list")]
    DeniedByAcl(OwnedServerName),
    /// The room is one of this server alone (`m.federate`).
    #[error("This room is not federated")]
    NotFederated,
    /// The server has no joined user in the room.
    #[error("{0} is not in this room")]
    NotInRoom(OwnedServerName),
    /// A server asks for a user of another one.
    #[error("{0} is not a user of the server that asks")]
    ForeignUser(OwnedUserId),
    /// The other server does not support the room's version.
    #[error("Your homeserver does not support room version {0}, which this room has")]
    IncompatibleVersion(RoomVersionId),
    /// The event is not what the endpoint takes.
    #[error("{0}")]
    InvalidEvent(String),
    /// The authorisation rules refuse the event.
    #[error("{0}")]
    Refused(String),
    /// The rooms' services failed, or refuse what was asked.
    #[error(transparent)]
    Room(#[from] RoomError),
}

impl From<StorageError> for ResidentError {
    fn from(error: StorageError) -> Self {
        Self::Room(error.into())
    }
}
