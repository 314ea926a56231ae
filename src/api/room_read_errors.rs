//! What the services that read rooms refuse, as a status and an errcode.

use http::StatusCode;
use ruma::api::error::ErrorKind;

use super::ApiError;
use crate::rooms::{AliasError, DirectoryError, ReadError, ReceiptError, RoomError};

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NotInRoom => Self::forbidden(error.to_string()),
            ReadError::NotFound(_) => Self::not_found(error.to_string()),
            ReadError::InvalidToken(_) => Self::invalid_param(error.to_string()),
            ReadError::Room(error) => unreadable(error),
        }
    }
}

impl From<ReceiptError> for ApiError {
    fn from(error: ReceiptError) -> Self {
        match error {
            ReceiptError::Read(error) => error.into(),
            ReceiptError::WrongThread(_) | ReceiptError::InvalidThread(_) => {
                Self::invalid_param(error.to_string())
            }
            ReceiptError::Marker(error) => error.into(),
            ReceiptError::Json(error) => Self::internal(error),
        }
    }
}

impl From<AliasError> for ApiError {
    fn from(error: AliasError) -> Self {
        match error {
            AliasError::Taken(_) => Self::new(StatusCode::CONFLICT, ErrorKind::Unknown, error.to_string()),
            AliasError::NotFound(_) => Self::not_found(error.to_string()),
            AliasError::NotLocal(_) | AliasError::Nameless(_) => Self::invalid_param(error.to_string()),
            AliasError::TooMany | AliasError::NotYours => Self::forbidden(error.to_string()),
            AliasError::Read(error) => error.into(),
        }
    }
}

impl From<DirectoryError> for ApiError {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::UnknownRoom => Self::not_found(error.to_string()),
            DirectoryError::NotAllowed | DirectoryError::Full => Self::forbidden(error.to_string()),
            DirectoryError::Room(error) => unreadable(error),
        }
    }
}

fn unreadable(error: RoomError) -> ApiError {
    match error {
        RoomError::Storage(error) => error.into(),
        other => ApiError::internal(other),
    }
}
