//! User-interactive authentication in handlers.

use ruma::api::client::uiaa::AuthData;

use super::{ApiError, rate_limits::LoginAttempts};
use crate::users::{Operation, Outcome, Stage, Uiaa};

/// The flows of what a logged-in user may do who gives the password again.
const PASSWORD_FLOWS: &[&[Stage]] = &[&[Stage::Password]];

/// As [`authorize`], for a logged-in user who has to give the password again. A request with a password is
/// an attempt to log in; one that only asks what is needed is not.
pub fn authorize_by_password(
    uiaa: &Uiaa,
    attempts: &LoginAttempts,
    operation: &Operation,
    auth: Option<&AuthData>,
) -> Result<(), ApiError> {
    if let Some(AuthData::Password(_)) = auth {
        attempts.count(operation.user.as_deref())?;
    }
    authorize(uiaa, operation, PASSWORD_FLOWS, auth)
}

/// Lets a request go on whose `auth` proves what one of the flows asks for; answers 401 with what is still
/// to be proved otherwise. May hash a password: call it off the runtime's threads.
pub fn authorize(
    uiaa: &Uiaa,
    operation: &Operation,
    flows: &[&'static [Stage]],
    auth: Option<&AuthData>,
) -> Result<(), ApiError> {
    match uiaa.check(operation, flows, auth)? {
        Outcome::Authorized => Ok(()),
        Outcome::Needed(info) => Err(ApiError::Uiaa(info)),
    }
}
