//! Why memberships through other servers fail, as a status and an errcode.

use http::StatusCode;
use ruma::api::error::{ErrorKind, IncompatibleRoomVersionErrorData};

use super::ApiError;
use crate::federation::{HierarchyError, joins::RemoteError};

impl From<HierarchyError> for ApiError {
    fn from(error: HierarchyError) -> Self {
        match error {
            HierarchyError::Read(error) => error.into(),
            HierarchyError::Stopping => Self::internal(error.to_string()),
        }
    }
}

impl From<RemoteError> for ApiError {
    fn from(error: RemoteError) -> Self {
        let message = error.to_string();
        match error {
            RemoteError::NoServer(_) | RemoteError::UnknownAlias(_) => Self::not_found(message),
            RemoteError::Refused { status, errcode, .. } => refused(status, &errcode, message),
            RemoteError::UnsupportedVersion(version) => {
                let data = IncompatibleRoomVersionErrorData::new(version);
                Self::new(StatusCode::BAD_REQUEST, ErrorKind::IncompatibleRoomVersion(data), message)
            }
            RemoteError::Unreachable(_) => Self::new(StatusCode::BAD_GATEWAY, ErrorKind::Unknown, message),
            RemoteError::StillGoingOn => Self::new(StatusCode::GATEWAY_TIMEOUT, ErrorKind::Unknown, message),
            RemoteError::NotAllowed => Self::forbidden(message),
            RemoteError::Invalid(_) => Self::invalid_param(message),
            RemoteError::Stopping => Self::internal(message),
            RemoteError::Resident(error) => error.into(),
            RemoteError::Room(error) => error.into(),
        }
    }
}

/// What another server has refused, told to the client where it concerns the user ([joining rooms]); where it
/// concerns what this server sent, the client could do nothing about it.
///
/// [joining rooms]: https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2send_joinroomideventid
fn refused(status: StatusCode, errcode: &str, message: String) -> ApiError {
    let kind = match errcode {
        "M_FORBIDDEN" => ErrorKind::Forbidden,
        "M_NOT_FOUND" => ErrorKind::NotFound,
        // Also by its names from before it was in the specification.
        "M_INVITE_BLOCKED" | "ORG.MATRIX.MSC4155.INVITE_BLOCKED" | "ORG.MATRIX.MSC4155.M_INVITE_BLOCKED" => {
            ErrorKind::InviteBlocked
        }
        "M_UNABLE_TO_AUTHORISE_JOIN" => ErrorKind::UnableToAuthorizeJoin,
        "M_UNABLE_TO_GRANT_JOIN" => ErrorKind::UnableToGrantJoin,
        "M_UNSUPPORTED_ROOM_VERSION" | "M_INCOMPATIBLE_ROOM_VERSION" => ErrorKind::UnsupportedRoomVersion,
        _ => return ApiError::new(StatusCode::BAD_GATEWAY, ErrorKind::Unknown, message),
    };
    ApiError::new(status, kind, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_passed_on_where_they_concern_the_user() {
        let seen = |status: u16, errcode: &str| {
            let error = RemoteError::Refused {
                status: StatusCode::from_u16(status).unwrap(),
                errcode: errcode.to_owned(),
                message: "no".to_owned(),
            };
            let ApiError::Standard { status, kind, .. } = ApiError::from(error) else {
                panic!("not a standard error")
            };
            (status.as_u16(), kind.errcode().to_string())
        };
        assert_eq!(seen(403, "M_FORBIDDEN"), (403, "M_FORBIDDEN".to_owned()));
        assert_eq!(seen(400, "M_UNABLE_TO_GRANT_JOIN"), (400, "M_UNABLE_TO_GRANT_JOIN".to_owned()));
        assert_eq!(seen(400, "M_INVALID_PARAM"), (502, "M_UNKNOWN".to_owned()));
        assert_eq!(seen(401, "M_UNAUTHORIZED"), (502, "M_UNKNOWN".to_owned()));
    }
}
