//! User-interactive authentication in handlers.

use ruma::api::client::uiaa::AuthData;

use super::ApiError;
use crate::users::{Operation, Outcome, Stage, Uiaa};

/// The flows of what a logged-in user may do who gives the password again.
pub const PASSWORD_FLOWS: &[&[Stage]] = &[&[Stage::Password]];

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
