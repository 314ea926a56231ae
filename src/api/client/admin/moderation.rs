//! `GET` and `PUT /admin/lock/{userId}` and `/admin/suspend/{userId}`: locked and suspended accounts ([account
//! moderation]).
//!
//! [account moderation]: https://spec.matrix.org/v1.19/client-server-api/#account-moderation

use axum::extract::State;
use ruma::{
    UserId,
    api::client::admin::{is_user_locked, is_user_suspended, lock_user, suspend_user},
};

use crate::{
    api::{ApiError, ApiResult, Requester, Ruma, RumaResponse, blocking},
    users::{AccountDetails, Accounts},
};

/// `GET …/lock/{userId}`.
pub async fn is_locked(
    State(accounts): State<Accounts>,
    requester: Requester,
    request: Result<Ruma<is_user_locked::v1::Request>, ApiError>,
) -> ApiResult<is_user_locked::v1::Response> {
    must_be_admin(&requester)?;
    let Ruma(request) = request?;
    let account = blocking::run(move || target(&accounts, &requester, &request.user_id)).await?;
    Ok(RumaResponse(is_user_locked::v1::Response::new(account.record.is_locked)))
}

/// `PUT …/lock/{userId}`.
pub async fn lock(
    State(accounts): State<Accounts>,
    requester: Requester,
    request: Result<Ruma<lock_user::v1::Request>, ApiError>,
) -> ApiResult<lock_user::v1::Response> {
    must_be_admin(&requester)?;
    let Ruma(request) = request?;
    let is_locked = request.locked;
    blocking::run(move || {
        let account = target(&accounts, &requester, &request.user_id)?;
        Ok::<_, ApiError>(accounts.set_locked(&account.user_id, is_locked)?)
    })
    .await?;
    Ok(RumaResponse(lock_user::v1::Response::new(is_locked)))
}

/// `GET …/suspend/{userId}`.
pub async fn is_suspended(
    State(accounts): State<Accounts>,
    requester: Requester,
    request: Result<Ruma<is_user_suspended::v1::Request>, ApiError>,
) -> ApiResult<is_user_suspended::v1::Response> {
    must_be_admin(&requester)?;
    let Ruma(request) = request?;
    let account = blocking::run(move || target(&accounts, &requester, &request.user_id)).await?;
    Ok(RumaResponse(is_user_suspended::v1::Response::new(account.record.is_suspended)))
}

/// `PUT …/suspend/{userId}`.
pub async fn suspend(
    State(accounts): State<Accounts>,
    requester: Requester,
    request: Result<Ruma<suspend_user::v1::Request>, ApiError>,
) -> ApiResult<suspend_user::v1::Response> {
    must_be_admin(&requester)?;
    let Ruma(request) = request?;
    let is_suspended = request.suspended;
    blocking::run(move || {
        let account = target(&accounts, &requester, &request.user_id)?;
        Ok::<_, ApiError>(accounts.set_suspended(&account.user_id, is_suspended)?)
    })
    .await?;
    Ok(RumaResponse(suspend_user::v1::Response::new(is_suspended)))
}

/// Asked before anything is looked at, so that nobody learns who has an account.
fn must_be_admin(requester: &Requester) -> Result<(), ApiError> {
    if requester.is_admin { Ok(()) } else { Err(ApiError::forbidden("You are not a server administrator")) }
}

/// The account, which must be of this server, open, and no administrator's.
fn target(accounts: &Accounts, requester: &Requester, user: &UserId) -> Result<AccountDetails, ApiError> {
    if !accounts.is_local(user) {
        return Err(ApiError::invalid_param("The user does not belong to this server"));
    }
    let account = accounts.details(user)?.filter(|account| !account.record.is_deactivated);
    let account = account.ok_or_else(|| ApiError::not_found("User not found"))?;
    if account.record.is_admin || requester.user_id == user {
        return Err(ApiError::forbidden("The user is an administrator"));
    }
    Ok(account)
}
