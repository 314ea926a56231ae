//! What sync and push rules refuse, as a status and an errcode.

use http::StatusCode;
use ruma::api::error::ErrorKind;

use super::ApiError;
use crate::{push::PushError, rooms::RoomError, sync::SyncError};

impl From<SyncError> for ApiError {
    fn from(error: SyncError) -> Self {
        match error {
            SyncError::UnknownFilter(_)
            | SyncError::TooMuchAsked { .. }
            | SyncError::InvalidRange
            | SyncError::InvalidSince => Self::invalid_param(error.to_string()),
            SyncError::UnknownPosition => {
                Self::new(StatusCode::BAD_REQUEST, ErrorKind::UnknownPos, error.to_string())
            }
            SyncError::NoRandomness => Self::internal(error),
            SyncError::Storage(error) | SyncError::Room(RoomError::Storage(error)) => error.into(),
            SyncError::Room(error) => Self::internal(error),
            SyncError::Json(error) => Self::internal(error),
        }
    }
}

impl From<PushError> for ApiError {
    fn from(error: PushError) -> Self {
        match error {
            PushError::NoSuchRule => Self::not_found(error.to_string()),
            PushError::Insert(_) | PushError::ServerDefault => {
                Self::new(StatusCode::BAD_REQUEST, ErrorKind::Unknown, error.to_string())
            }
            PushError::PatternTooLong | PushError::BadPusher(_) | PushError::GatewayNotAllowed(_) => {
                Self::invalid_param(error.to_string())
            }
            PushError::TooManyRules | PushError::TooManyPushers => Self::too_large(error.to_string()),
            PushError::Json(error) => Self::internal(error),
            PushError::AccountData(error) => error.into(),
            PushError::Storage(error) => error.into(),
        }
    }
}
