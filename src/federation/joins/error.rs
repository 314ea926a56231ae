//! Why a membership that goes through other servers did not come about.

use http::StatusCode;
use ruma::{OwnedRoomId, RoomVersionId};

use crate::{
    federation::FederationError,
    rooms::{RoomError, resident::ResidentError},
    storage::StorageError,
};

/// An error of this folder's services.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// Nobody is known who could be asked.
    #[error("No server is known that is in the room {0}; give one that is")]
    NoServer(OwnedRoomId),
    /// There is no such alias, or its server can't be found.
    #[error("The room alias {0} was not found")]
    UnknownAlias(ruma::OwnedRoomAliasId),
    /// The operator does not want the other server to be talked to, or any.
    #[error("This server does not talk to that one")]
    NotAllowed,
    /// A server that is in the room refuses.
    #[error("{message}")]
    Refused {
        /// The status that it answered.
        status: StatusCode,
        /// Its errcode.
        errcode: String,
        /// What it said to people.
        message: String,
    },
    /// The room has a version that this server does not know.
    #[error("This server does not support the room's version, {0}")]
    UnsupportedVersion(RoomVersionId),
    /// No server could be asked, or none gave an answer that makes sense.
    #[error("The room could not be reached through any server: {0}")]
    Unreachable(String),
    /// The work goes on, and its outcome will show in the client's sync.
    #[error("The room is large, or its servers are slow. This server goes on trying; look again in a while")]
    StillGoingOn,
    /// What another server sent is not what the endpoint takes.
    #[error("{0}")]
    Invalid(String),
    /// This server is being stopped.
    #[error("the server is stopping")]
    Stopping,
    /// What another server asks of a room here is refused.
    #[error(transparent)]
    Resident(#[from] ResidentError),
    /// The rooms' services failed, or refuse what was asked.
    #[error(transparent)]
    Room(#[from] RoomError),
}

impl From<StorageError> for RemoteError {
    fn from(error: StorageError) -> Self {
        Self::Room(error.into())
    }
}

impl RemoteError {
    /// What a server's failure to do its part means.
    pub(super) fn of(error: FederationError) -> Self {
        match error {
            FederationError::Remote { status, errcode, message, .. } if status.is_client_error() => {
                Self::Refused { status, errcode, message }
            }
            FederationError::NotAllowed => Self::NotAllowed,
            other => Self::Unreachable(other.to_string()),
        }
    }

    /// Whether asking another server would change nothing: the room's rules say no, or this server can't.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Refused { errcode, .. } => {
                matches!(
                    &**errcode,
                    "M_FORBIDDEN" | "M_INCOMPATIBLE_ROOM_VERSION" | "M_UNSUPPORTED_ROOM_VERSION"
                )
            }
            Self::Unreachable(_) | Self::Invalid(_) | Self::NotAllowed => false,
            Self::Room(error) => !error.is_callers(),
            _ => true,
        }
    }

    /// The one of two failures that tells more: a server's refusal rather than silence.
    pub(super) fn or(self, earlier: Option<Self>) -> Self {
        match (earlier, self) {
            (
                Some(earlier @ Self::Refused { .. }),
                Self::Unreachable(_) | Self::Invalid(_) | Self::NotAllowed,
            ) => earlier,
            (_, later) => later,
        }
    }
}
