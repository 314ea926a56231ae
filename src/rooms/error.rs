//! What can go wrong with rooms.

use ruma::{OwnedEventId, OwnedRoomAliasId, OwnedRoomId, OwnedUserId, RoomVersionId};

use crate::{
    matrix::{
        auth_rules::{AuthError, AuthRefusal},
        builder::BuildError,
        canonical_json::CanonicalJsonError,
        event::EventFormatError,
        power_levels::MalformedLevels,
        signing::KeyError,
    },
    state::{resolution::ResolutionError, tree::TreeError},
    storage::{ShortEventId, StorageError},
};

/// An error of the rooms' services.
#[derive(Debug, thiserror::Error)]
pub enum RoomError {
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A state tree could not be read.
    #[error("a room's state could not be read: {0}")]
    State(#[from] TreeError<StorageError>),
    /// A fork's states could not be resolved.
    #[error("a room's states could not be resolved: {0}")]
    Resolution(#[from] ResolutionError<StorageError>),
    /// An event that a state event cites is not in the chain-cover index.
    #[error("{0:?} is missing from the chain-cover index; run `conduit check`")]
    NotInChainCover(ShortEventId),
    /// A stored event is not what it was when it was written.
    #[error("the stored event {event_id} can't be read: {source}")]
    CorruptEvent {
        /// The event.
        event_id: OwnedEventId,
        /// What is wrong.
        source: EventFormatError,
    },
    /// A room's version is not one that this program knows.
    #[error("the room's version {0} is not supported")]
    UnknownVersion(RoomVersionId),
    /// The stored signing key can't be used.
    #[error("this server's signing key can't be used: {0}")]
    SigningKey(#[from] KeyError),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandomness,
    /// The table rows of a room contradict each other.
    #[error("room {room_id} is damaged: {what}; run `conduit check`")]
    DamagedRoom {
        /// The room.
        room_id: OwnedRoomId,
        /// What contradicts what.
        what: &'static str,
    },

    /// This server does not know the room.
    #[error("room {0} is not known to this server")]
    RoomNotFound(OwnedRoomId),
    /// This server does not know the event, or it is of another room.
    #[error("event {0} is not known in this room")]
    EventNotFound(OwnedEventId),
    /// The authorisation rules refuse an event.
    #[error("{0}")]
    Refused(AuthRefusal),
    /// The user does not want to be invited by the sender, or by anybody.
    #[error("{0} does not take invites from you")]
    InviteBlocked(OwnedUserId),
    /// Something that the authorisation rules leave to the server is not allowed.
    #[error("{0}")]
    Forbidden(String),
    /// A restricted room's conditions speak of rooms that this server is not in.
    #[error("This server is in none of the rooms whose members may join this room")]
    CannotAuthoriseJoin,
    /// The user meets a restricted room's conditions, but nobody here has the power to let them in.
    #[error("No member of this server has the power to let you into this room")]
    CannotGrantJoin,
    /// The event breaks the event format, most often a size limit.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The content is not canonical JSON.
    #[error(transparent)]
    Content(#[from] CanonicalJsonError),
    /// The content is JSON, but not what events of this type hold.
    #[error("{0}")]
    BadContent(String),
    /// A parameter has a value that is not allowed.
    #[error("{0}")]
    InvalidParameter(String),
    /// The invite to the room in which a user gets this server's notices can't be turned down.
    #[error("You can't turn down the invite to the notices of this server")]
    NoticeInvite,
    /// A user of another server, which this server can't reach.
    #[error("{0} is a user of another server, and this server does not talk to other servers")]
    RemoteUser(OwnedUserId),
    /// A user may not forget a room before leaving it.
    #[error("{user} is in room {room_id}: leave it before forgetting it")]
    NotLeft {
        /// Who.
        user: OwnedUserId,
        /// Which room.
        room_id: OwnedRoomId,
    },

    /// A room version that no room can be made of.
    #[error("room version {0} is not supported")]
    UnsupportedVersion(RoomVersionId),
    /// The state asked for at a room's creation is refused by the rules.
    #[error("the room's initial state is not valid: {0}")]
    InvalidInitialState(Box<RoomError>),
    /// The alias is taken.
    #[error("the alias {0} is taken")]
    AliasTaken(OwnedRoomAliasId),
    /// The alias does not name the room.
    #[error("the alias {0} does not point to this room")]
    BadAlias(OwnedRoomAliasId),
    /// The same user has reacted in the same way before.
    #[error("you have reacted to this event in the same way already")]
    DuplicateAnnotation,
    /// A thread can't start from an event that relates to another one.
    #[error("a thread can't start from an event that relates to another event")]
    ThreadOfChild,
    /// A room with this id is there already: in versions 12 and up, the same user asked for the same room
    /// in the same millisecond.
    #[error("room {0} exists already")]
    RoomIdTaken(OwnedRoomId),
    /// More events at once than one request may send.
    #[error("a request may send at most {0} events at once")]
    TooManyEvents(usize),
    /// Third-party invites need an identity server.
    #[error("inviting by e-mail or phone number is not available: this server uses no identity server")]
    NoIdentityServer,
}

impl From<AuthRefusal> for RoomError {
    fn from(refusal: AuthRefusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<AuthError<Self>> for RoomError {
    fn from(error: AuthError<Self>) -> Self {
        match error {
            AuthError::Refused(refusal) => Self::Refused(refusal),
            AuthError::State(error) => error,
        }
    }
}

impl From<MalformedLevels> for RoomError {
    fn from(malformed: MalformedLevels) -> Self {
        Self::Refused(malformed.into())
    }
}

impl RoomError {
    /// True for errors that a request caused, false for the server's own trouble.
    pub fn is_callers(&self) -> bool {
        !matches!(
            self,
            Self::Storage(_)
                | Self::State(_)
                | Self::Resolution(_)
                | Self::NotInChainCover(_)
                | Self::CorruptEvent { .. }
                | Self::SigningKey(_)
                | Self::NoRandomness
                | Self::DamagedRoom { .. }
                | Self::RoomIdTaken(_)
        )
    }
}
