//! What the user services refuse, as a status and an errcode.

use http::StatusCode;
use ruma::api::error::{
    ErrorKind, LimitExceededErrorData, UnknownTokenErrorData, WrongRoomKeysVersionErrorData,
};

use super::ApiError;
use crate::users::UserError;

impl From<UserError> for ApiError {
    fn from(error: UserError) -> Self {
        let (status, kind) = match &error {
            UserError::Storage(e) => return e.clone().into(),
            UserError::NoRandomness | UserError::PasswordHash(_) => return Self::internal(error),
            UserError::Busy => {
                (StatusCode::TOO_MANY_REQUESTS, ErrorKind::LimitExceeded(LimitExceededErrorData::new()))
            }
            UserError::InvalidUsername => (StatusCode::BAD_REQUEST, ErrorKind::InvalidUsername),
            UserError::UserInUse(_) => (StatusCode::BAD_REQUEST, ErrorKind::UserInUse),
            UserError::PasswordTooShort(_) | UserError::PasswordTooLong => {
                (StatusCode::BAD_REQUEST, ErrorKind::WeakPassword)
            }
            UserError::InvalidToken(_) => (StatusCode::BAD_REQUEST, ErrorKind::InvalidParam),
            UserError::RegistrationDisabled
            | UserError::WrongCredentials
            | UserError::OtherUser
            | UserError::InvalidLoginToken
            | UserError::NotInNamespace(_)
            | UserError::NotRegistered(_)
            | UserError::KeyIdInUse
            | UserError::ForeignSender(_)
            | UserError::NotDehydrated(_)
            | UserError::WrongMac => (StatusCode::FORBIDDEN, ErrorKind::Forbidden),
            UserError::ExclusiveUser(_) => (StatusCode::BAD_REQUEST, ErrorKind::Exclusive),
            UserError::NotADeviceOf { .. } => (StatusCode::BAD_REQUEST, ErrorKind::UnknownDevice),
            UserError::UnknownRefreshToken | UserError::AccessTokenExpired => {
                let mut data = UnknownTokenErrorData::new();
                data.soft_logout = true;
                (StatusCode::UNAUTHORIZED, ErrorKind::UnknownToken(data))
            }
            UserError::Locked => (StatusCode::UNAUTHORIZED, ErrorKind::UserLocked),
            UserError::Suspended => (StatusCode::FORBIDDEN, ErrorKind::UserSuspended),
            UserError::Deactivated => (StatusCode::FORBIDDEN, ErrorKind::UserDeactivated),
            UserError::UnknownUser(_)
            | UserError::UnknownDevice(_)
            | UserError::UnknownRoom
            | UserError::NoBackup
            | UserError::NoBackedUpKey
            | UserError::NoDehydratedDevice => (StatusCode::NOT_FOUND, ErrorKind::NotFound),
            UserError::DeviceIdTooLong
            | UserError::InvalidProfileField
            | UserError::InvalidProfileValue(_)
            | UserError::KeysOfAnother
            | UserError::DeviceInUse(_)
            | UserError::OtherBackup(_)
            | UserError::InvalidNonce => (StatusCode::BAD_REQUEST, ErrorKind::InvalidParam),
            UserError::ProfileFieldNameTooLong => (StatusCode::BAD_REQUEST, ErrorKind::KeyTooLarge),
            UserError::ProfileTooLarge => (StatusCode::BAD_REQUEST, ErrorKind::ProfileTooLarge),
            UserError::ServerManagedAccountData(_) => (StatusCode::METHOD_NOT_ALLOWED, ErrorKind::BadJson),
            UserError::AccountDataNotAnObject => (StatusCode::BAD_REQUEST, ErrorKind::BadJson),
            UserError::ToDeviceContentNotAnObject | UserError::BadKeys(_) => {
                (StatusCode::BAD_REQUEST, ErrorKind::BadJson)
            }
            UserError::OneTimeKeyExists(_) => (StatusCode::BAD_REQUEST, ErrorKind::Unknown),
            UserError::WrongBackupVersion(current) => {
                let data = WrongRoomKeysVersionErrorData::new(current.to_string());
                (StatusCode::FORBIDDEN, ErrorKind::WrongRoomKeysVersion(data))
            }
            UserError::InvalidSignature => {
                return Self::custom(StatusCode::BAD_REQUEST, "M_INVALID_SIGNATURE", error.to_string());
            }
            UserError::NoMasterKey => (StatusCode::BAD_REQUEST, ErrorKind::MissingParam),
            UserError::AuthenticationNeeded => (StatusCode::UNAUTHORIZED, ErrorKind::Forbidden),
            UserError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, ErrorKind::TooLarge),
        };
        Self::new(status, kind, error.to_string())
    }
}
