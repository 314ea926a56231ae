//! What the media services refuse, as a status and an errcode.

use http::StatusCode;
use ruma::api::error::{ErrorKind, LimitExceededErrorData};

use super::ApiError;
use crate::media::{MediaError, UrlPreviewError};

impl From<MediaError> for ApiError {
    fn from(error: MediaError) -> Self {
        let limit = || ErrorKind::LimitExceeded(LimitExceededErrorData::new());
        let (status, kind) = match &error {
            MediaError::Storage(e) => return e.clone().into(),
            MediaError::Io(_) | MediaError::NoRandomness => return Self::internal(error),
            MediaError::NotFound => (StatusCode::NOT_FOUND, ErrorKind::NotFound),
            MediaError::NotYetUploaded => (StatusCode::GATEWAY_TIMEOUT, ErrorKind::NotYetUploaded),
            MediaError::CannotOverwrite => (StatusCode::CONFLICT, ErrorKind::CannotOverwriteMedia),
            MediaError::NotYours | MediaError::QuotaExceeded => (StatusCode::FORBIDDEN, ErrorKind::Forbidden),
            MediaError::TooLarge { .. } | MediaError::ImageTooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, ErrorKind::TooLarge)
            }
            MediaError::Unreachable(_) => (StatusCode::BAD_GATEWAY, ErrorKind::Unknown),
            MediaError::RemoteTooLarge { .. } => (StatusCode::BAD_GATEWAY, ErrorKind::TooLarge),
            MediaError::TooManyPending | MediaError::Busy => (StatusCode::TOO_MANY_REQUESTS, limit()),
            MediaError::TooSlow => (StatusCode::REQUEST_TIMEOUT, ErrorKind::Unknown),
            MediaError::BrokenOff | MediaError::NoThumbnail(_) => {
                (StatusCode::BAD_REQUEST, ErrorKind::Unknown)
            }
            MediaError::DiskFull => {
                tracing::error!("an upload was refused: {error}");
                (StatusCode::INSUFFICIENT_STORAGE, ErrorKind::Unknown)
            }
        };
        Self::new(status, kind, error.to_string())
    }
}

impl From<UrlPreviewError> for ApiError {
    fn from(error: UrlPreviewError) -> Self {
        let (status, kind) = match &error {
            UrlPreviewError::Media(e) => return e.clone().into(),
            UrlPreviewError::Disabled => return Self::unrecognized(),
            UrlPreviewError::BadUrl => (StatusCode::BAD_REQUEST, ErrorKind::InvalidParam),
            UrlPreviewError::NotAllowed => (StatusCode::FORBIDDEN, ErrorKind::Forbidden),
            UrlPreviewError::Unreachable(_) => (StatusCode::BAD_GATEWAY, ErrorKind::Unknown),
            UrlPreviewError::Busy => {
                (StatusCode::TOO_MANY_REQUESTS, ErrorKind::LimitExceeded(LimitExceededErrorData::new()))
            }
        };
        Self::new(status, kind, error.to_string())
    }
}
