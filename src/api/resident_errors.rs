//! What other servers are refused, as a status and an errcode (server-server API; each endpoint's errors).

use http::StatusCode;
use ruma::api::error::{ErrorKind, IncompatibleRoomVersionErrorData};

use super::ApiError;
use crate::rooms::resident::ResidentError;

impl From<ResidentError> for ApiError {
    fn from(error: ResidentError) -> Self {
        let message = error.to_string();
        match error {
            ResidentError::UnknownRoom | ResidentError::UnknownEvent => Self::not_found(message),
            ResidentError::DeniedByAcl(_)
            | ResidentError::NotFederated
            | ResidentError::NotInRoom(_)
            | ResidentError::ForeignUser(_)
            | ResidentError::Refused(_) => Self::forbidden(message),
            ResidentError::IncompatibleVersion(version) => {
                let data = IncompatibleRoomVersionErrorData::new(version);
                Self::new(StatusCode::BAD_REQUEST, ErrorKind::IncompatibleRoomVersion(data), message)
            }
            ResidentError::InvalidEvent(_) => Self::invalid_param(message),
            ResidentError::Room(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use ruma::RoomVersionId;

    use super::*;
    use crate::rooms::RoomError;

    #[test]
    fn joins_are_refused_with_the_errcodes_of_the_spec() {
        for (error, status, errcode) in [
            (ResidentError::UnknownRoom, 404, "M_NOT_FOUND"),
            (ResidentError::NotFederated, 403, "M_FORBIDDEN"),
            (ResidentError::IncompatibleVersion(RoomVersionId::V3), 400, "M_INCOMPATIBLE_ROOM_VERSION"),
            (ResidentError::InvalidEvent("no".to_owned()), 400, "M_INVALID_PARAM"),
            (RoomError::CannotAuthoriseJoin.into(), 400, "M_UNABLE_TO_AUTHORISE_JOIN"),
            (RoomError::CannotGrantJoin.into(), 400, "M_UNABLE_TO_GRANT_JOIN"),
        ] {
            let ApiError::Standard { status: found, kind, .. } = ApiError::from(error) else {
                panic!("not a standard error")
            };
            assert_eq!((found.as_u16(), kind.errcode().as_str()), (status, errcode));
        }
    }
}
