//! Who may use the administrators' API, and whom their requests are about.

use axum::extract::{FromRef, FromRequestParts};
use http::{StatusCode, request::Parts};
use ruma::{OwnedUserId, UserId, api::error::ErrorKind};

use crate::{
    api::{ApiError, Requester},
    users::{AccountDetails, Accounts, Sessions},
};

/// An administrator who makes a request; everybody else is refused before anything is looked at.
#[derive(Debug, Clone)]
pub struct Admin(pub Requester);

impl<S> FromRequestParts<S> for Admin
where
    S: Send + Sync,
    Sessions: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let requester = Requester::from_request_parts(parts, state).await?;
        if requester.is_admin {
            Ok(Self(requester))
        } else {
            Err(ApiError::forbidden("You are not a server admin"))
        }
    }
}

/// The user id in a path.
pub fn user_id(text: &str) -> Result<OwnedUserId, ApiError> {
    OwnedUserId::try_from(text).map_err(|_| ApiError::invalid_param(format!("{text:?} is not a user id")))
}

/// The id of one of this server's users in a path.
pub fn local_user_id(accounts: &Accounts, text: &str) -> Result<OwnedUserId, ApiError> {
    let user_id = user_id(text)?;
    if accounts.is_local(&user_id) {
        Ok(user_id)
    } else {
        Err(ApiError::invalid_param("The user is of another server"))
    }
}

/// An account of this server by the id in a path.
pub fn account(accounts: &Accounts, text: &str) -> Result<AccountDetails, ApiError> {
    let user_id = local_user_id(accounts, text)?;
    accounts.details(&user_id)?.ok_or_else(unknown_user)
}

/// 404: there is no such account.
pub fn unknown_user() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, ErrorKind::NotFound, "User not found")
}

/// Refuses what administrators may not do to themselves, as it would leave the server without one.
pub fn must_be_another(admin: &Requester, user: &UserId) -> Result<(), ApiError> {
    if admin.user_id == user {
        return Err(ApiError::forbidden("You may not do this to your own account"));
    }
    Ok(())
}
