//! Why the rules refuse an event.

use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId};

use crate::matrix::power_levels::{MalformedLevels, PowerLevel};

/// A clause of the authorisation rules that an event breaks. Clients see it as `M_FORBIDDEN` with this
/// sentence; from other servers, the event is rejected or soft-failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthRefusal {
    /// Rule 1.1.
    #[error("a create event must not have previous events")]
    CreateHasPrevEvents,
    /// Rule 1.2 of room versions 1 to 11.
    #[error("room {0} is not of the server of the user who creates it")]
    CreateForOtherServer(OwnedRoomId),
    /// Rule 1.3.
    #[error("the room version {0} is not known")]
    UnknownRoomVersion(String),
    /// Rule 1.4 of room versions 1 to 10.
    #[error("the create event names no creator")]
    CreateWithoutCreator,
    /// Rule 1.4 of room version 12.
    #[error("`additional_creators` of the create event is not a list of user IDs")]
    InvalidAdditionalCreators,

    /// Rule 2 of room version 12; rule 2.4 of the others; and a state without a create event.
    #[error("the room has no accepted create event")]
    NoCreateEvent,
    /// An entry of `auth_events` that the caller could not find.
    #[error("the auth event {0} is not known")]
    MissingAuthEvent(OwnedEventId),
    /// Rule 3.1.
    #[error("the auth events have two entries for one type and state key: {0} is the second")]
    DuplicateAuthEvent(OwnedEventId),
    /// Rule 3.2.
    #[error("the auth event {0} is not one that this event may have")]
    UnexpectedAuthEvent(OwnedEventId),
    /// Rule 3.3.
    #[error("the auth event {0} was rejected")]
    RejectedAuthEvent(OwnedEventId),
    /// Rule 3.5.
    #[error("the auth event {0} is of another room")]
    AuthEventOfOtherRoom(OwnedEventId),

    /// Rule 4.
    #[error("the room is closed to users of other servers")]
    NotFederated,
    /// Rule 4 of room versions 1 to 5.
    #[error("an m.room.aliases event must have the sender's server as its state key")]
    AliasesOfOtherServer,

    /// Rule 5.1.
    #[error("a membership event must have a state key that is a user ID")]
    MemberWithoutUser,
    /// Rules 5.1 and 5.8.
    #[error("the membership is missing or not known in this room version")]
    UnknownMembership,
    /// Rules 5.3.2 and 5.7.2.
    #[error("{0} can't join or knock for another user")]
    MembershipOfAnother(OwnedUserId),
    /// Rules 5.3.3, 5.4.1.1 and 5.4.3.
    #[error("{0} is banned from the room")]
    Banned(OwnedUserId),
    /// Rules 5.3.4 and 5.3.7.
    #[error("{0} is not invited to this room")]
    NotInvited(OwnedUserId),
    /// Rule 5.3.5.2: the key is absent or not a user ID.
    #[error("the join is not authorised by a user of the room")]
    RestrictedJoinNotAuthorised,
    /// Rule 5.3.5.2: not a member.
    #[error("{0}, who authorises the join, is not in the room")]
    AuthorisingUserNotJoined(OwnedUserId),
    /// Rule 5.4.3: the invited user is in the room.
    #[error("{0} is already in the room")]
    AlreadyJoined(OwnedUserId),
    /// Rule 5.5.1.
    #[error("{0} is not in the room, invited or knocking, so there is nothing to leave")]
    NothingToLeave(OwnedUserId),
    /// Rules 5.5.4 and 5.6.2.
    #[error("{sender} (power level {sender_level}) needs more power than {target} ({target_level}) has")]
    TargetNotBelowSender {
        /// Who wants to remove.
        sender: OwnedUserId,
        /// Their level.
        sender_level: PowerLevel,
        /// Who is to be removed.
        target: OwnedUserId,
        /// Their level.
        target_level: PowerLevel,
    },
    /// Rule 5.7.1.
    #[error("this room does not let users knock")]
    KnockingNotAllowed,
    /// Rule 5.7.3.
    #[error("{0} is in the room, invited or banned, and can't knock")]
    KnockByMember(OwnedUserId),

    /// Rules 5.4.1.2 and 5.4.1.3.
    #[error("the third-party invite has no `signed` object with `mxid` and `token`")]
    ThirdPartyInviteUnsigned,
    /// Rule 5.4.1.4.
    #[error("the third-party invite is for another user")]
    ThirdPartyInviteForAnother,
    /// Rules 5.4.1.5 and 5.4.1.6.
    #[error("the room has no third-party invite with this token by this sender")]
    ThirdPartyInviteUnknown,
    /// Rule 5.4.1.8.
    #[error("no signature of the third-party invite is by one of its keys")]
    ThirdPartyInviteBadSignature,

    /// Rules 5.4.2, 5.5.2, 5.6.1 and 6.
    #[error("{0} is not in the room")]
    SenderNotJoined(OwnedUserId),
    /// Rules 5.3.5.2, 5.4.5, 5.5.3 to 5.5.5, 5.6.3, 7.1 and 8.
    #[error("{user} has power level {level}, but {action} needs {required}")]
    InsufficientPower {
        /// Who.
        user: OwnedUserId,
        /// Their level.
        level: PowerLevel,
        /// What they want, such as "to ban".
        action: String,
        /// The level required.
        required: i64,
    },
    /// Rule 9.
    #[error("a state key that starts with @ must be the sender's user ID")]
    StateKeyOfAnotherUser,
    /// Rules 10.1 to 10.3, and every clause that needs a level which the state holds malformed.
    #[error(transparent)]
    MalformedLevels(#[from] MalformedLevels),
    /// Rule 10.4.
    #[error("{0} is a creator of the room and can't have a power level")]
    CreatorInPowerLevels(OwnedUserId),
    /// Rules 10.6 to 10.10.
    #[error("{user} has power level {level} and can't change that of `{what}` from {from} to {to}")]
    LevelChange {
        /// Who.
        user: OwnedUserId,
        /// Their level.
        level: PowerLevel,
        /// A field, an event type, a kind of notification or a user.
        what: String,
        /// The level before, or `none`.
        from: String,
        /// The level wanted, or `none`.
        to: String,
    },
    /// Rule 11 of room versions 1 and 2.
    #[error("{0} has not the power to redact events of other servers")]
    RedactionNotAllowed(OwnedUserId),
}

/// The outcome of a check that did not allow an event.
#[derive(Debug, thiserror::Error)]
pub enum AuthError<E> {
    /// The rules refuse it.
    #[error(transparent)]
    Refused(AuthRefusal),
    /// The state could not be read; nothing is known about the event.
    #[error("the room's state could not be read: {0}")]
    State(E),
}

impl<E> From<AuthRefusal> for AuthError<E> {
    fn from(refusal: AuthRefusal) -> Self {
        Self::Refused(refusal)
    }
}

impl<E> From<MalformedLevels> for AuthError<E> {
    fn from(malformed: MalformedLevels) -> Self {
        Self::Refused(malformed.into())
    }
}
