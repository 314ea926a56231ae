//! Errors of the rooms' services as clients see them.

use std::time::Duration;

use http::StatusCode;
use ruma::api::error::{ErrorKind, StandardErrorBody};
use serde_json::value::RawValue;

use super::ApiError;
use crate::{
    matrix::{auth_rules::AuthRefusal, builder::BuildError, canonical_json::CanonicalJsonError},
    net::LimitExceeded,
    rooms::{DelayedError, RoomError},
};

impl From<RoomError> for ApiError {
    fn from(error: RoomError) -> Self {
        let message = error.to_string();
        let bad_request = |kind: ErrorKind| Self::new(StatusCode::BAD_REQUEST, kind, message.clone());
        match error {
            RoomError::Storage(error) => error.into(),
            RoomError::State(_)
            | RoomError::Resolution(_)
            | RoomError::NotInChainCover(_)
            | RoomError::CorruptEvent { .. }
            | RoomError::UnknownVersion(_)
            | RoomError::SigningKey(_)
            | RoomError::NoRandomness
            | RoomError::DamagedRoom { .. }
            | RoomError::RoomIdTaken(_) => Self::internal(error),
            RoomError::CannotAuthoriseJoin => bad_request(ErrorKind::UnableToAuthorizeJoin),
            RoomError::CannotGrantJoin => bad_request(ErrorKind::UnableToGrantJoin),
            RoomError::RoomNotFound(_) | RoomError::EventNotFound(_) => Self::not_found(message),
            // Wrong for everybody, whatever power they have.
            RoomError::Refused(AuthRefusal::CreateHasPrevEvents | AuthRefusal::CreatorInPowerLevels(_)) => {
                Self::bad_json(message)
            }
            RoomError::InviteBlocked(_) => {
                Self::new(StatusCode::FORBIDDEN, ErrorKind::InviteBlocked, message)
            }
            RoomError::Refused(_) | RoomError::Forbidden(_) | RoomError::RemoteUser(_) => {
                Self::forbidden(message)
            }
            RoomError::Build(BuildError::Format(format)) if format.is_too_large() => Self::too_large(message),
            RoomError::Content(CanonicalJsonError::Syntax(_)) => Self::not_json(message),
            RoomError::Build(_) | RoomError::Content(_) | RoomError::BadContent(_) => Self::bad_json(message),
            RoomError::NoticeInvite => {
                Self::new(StatusCode::FORBIDDEN, ErrorKind::CannotLeaveServerNoticeRoom, message)
            }
            RoomError::InvalidParameter(_) => Self::invalid_param(message),
            RoomError::DuplicateAnnotation => bad_request(ErrorKind::DuplicateAnnotation),
            RoomError::NotLeft { .. } | RoomError::ThreadOfChild => bad_request(ErrorKind::Unknown),
            RoomError::UnsupportedVersion(_) => bad_request(ErrorKind::UnsupportedRoomVersion),
            RoomError::InvalidInitialState(_) => bad_request(ErrorKind::InvalidRoomState),
            RoomError::AliasTaken(_) => bad_request(ErrorKind::RoomInUse),
            RoomError::BadAlias(_) => bad_request(ErrorKind::BadAlias),
            RoomError::TooManyEvents(_) => Self::too_large(message),
            RoomError::NoIdentityServer => {
                Self::new(StatusCode::FORBIDDEN, ErrorKind::ThreepidDenied, message)
            }
        }
    }
}

impl From<DelayedError> for ApiError {
    fn from(error: DelayedError) -> Self {
        let message = error.to_string();
        match error {
            DelayedError::Room(error) => error.into(),
            DelayedError::NoDelay => Self::invalid_param(message),
            DelayedError::TooLate { .. } => Self::forbidden(message),
            DelayedError::TooMany { next_in_ms } => {
                let retry_after = Duration::from_millis(next_in_ms.max(1));
                LimitExceeded { retry_after }.into()
            }
            DelayedError::NotFound => Self::not_found(message),
            DelayedError::AlreadySent | DelayedError::AlreadyCancelled => {
                Self::new(StatusCode::CONFLICT, ErrorKind::Unknown, message)
            }
        }
    }
}

/// An error as the standard error response that a client would be told, for those that hear of it later.
pub fn describe(error: RoomError) -> Box<RawValue> {
    let body = match ApiError::from(error) {
        ApiError::Standard { kind, message, .. } => StandardErrorBody::new(*kind, message),
        ApiError::Uiaa(_) => StandardErrorBody::new(ErrorKind::Unknown, String::new()),
    };
    serde_json::value::to_raw_value(&body).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use ruma::OwnedRoomId;

    use super::*;

    #[test]
    fn each_error_has_the_status_and_errcode_of_the_spec() {
        let room_id = OwnedRoomId::try_from("!a:example.org").unwrap();
        let user = ruma::OwnedUserId::try_from("@a:example.org").unwrap();
        let alias = ruma::OwnedRoomAliasId::try_from("#a:example.org").unwrap();
        let too_large = crate::matrix::event::EventFormatError::TooLarge(70_000);
        for (error, status, errcode) in [
            (RoomError::RoomNotFound(room_id.clone()), 404, "M_NOT_FOUND"),
            (RoomError::Forbidden("no".to_owned()), 403, "M_FORBIDDEN"),
            (RoomError::Refused(AuthRefusal::CreateHasPrevEvents), 400, "M_BAD_JSON"),
            (RoomError::Refused(AuthRefusal::CreatorInPowerLevels(user.clone())), 400, "M_BAD_JSON"),
            (RoomError::Build(BuildError::Format(too_large)), 413, "M_TOO_LARGE"),
            (RoomError::InviteBlocked(user.clone()), 403, "M_INVITE_BLOCKED"),
            (RoomError::BadContent("no".to_owned()), 400, "M_BAD_JSON"),
            (RoomError::AliasTaken(alias.clone()), 400, "M_ROOM_IN_USE"),
            (RoomError::BadAlias(alias), 400, "M_BAD_ALIAS"),
            (RoomError::NotLeft { user, room_id }, 400, "M_UNKNOWN"),
            (RoomError::NoRandomness, 500, "M_UNKNOWN"),
        ] {
            let ApiError::Standard { status: found, kind, .. } = ApiError::from(error) else {
                panic!("not a standard error")
            };
            assert_eq!((found.as_u16(), kind.errcode().as_str()), (status, errcode));
        }
    }
}
