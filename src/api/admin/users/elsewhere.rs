//! `…/threepid/{medium}/users/{address}` and `…/auth_providers/{provider}/users/{externalId}`: whose account an email
//! address, a phone number or an account elsewhere belongs to. None is kept here, so none is found.

use crate::api::{ApiError, admin::Admin};

/// The handler.
pub async fn find(_admin: Admin) -> ApiError {
    ApiError::not_found("User not found")
}
