//! `…/users/{userId}/admin` and `…/suspend/{userId}`: what an account may do.

use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api::{
        ApiError, PathArguments,
        admin::{Admin, account, must_be_another},
        blocking,
        json::{JsonBody, JsonResponse},
    },
    users::Accounts,
};

/// `GET …/admin`.
pub async fn is_admin(
    State(accounts): State<Accounts>,
    _admin: Admin,
    PathArguments(user_id): PathArguments<String>,
) -> Result<JsonResponse<Value>, ApiError> {
    let account = blocking::run(move || account(&accounts, &user_id)).await?;
    Ok(JsonResponse(json!({ "admin": account.record.is_admin })))
}

/// Whether the user is to administer the server.
#[derive(Debug, Deserialize)]
pub struct AdminBody {
    admin: bool,
}

/// `PUT …/admin`.
pub async fn set_admin(
    State(accounts): State<Accounts>,
    Admin(admin): Admin,
    PathArguments(user_id): PathArguments<String>,
    JsonBody(body): JsonBody<AdminBody>,
) -> Result<JsonResponse<Value>, ApiError> {
    blocking::run(move || {
        let account = account(&accounts, &user_id)?;
        if !body.admin {
            must_be_another(&admin, &account.user_id)?;
        }
        accounts.set_admin(&account.user_id, body.admin)?;
        tracing::info!(admin = %admin.user_id, user_id = %account.user_id, is_admin = body.admin, "an administrator was made or unmade");
        Ok::<_, ApiError>(JsonResponse(json!({})))
    })
    .await
}

/// Whether the user is to be suspended.
#[derive(Debug, Deserialize)]
pub struct SuspendBody {
    suspend: bool,
}

/// `PUT /_synapse/admin/v1/suspend/{userId}`.
pub async fn suspend(
    State(accounts): State<Accounts>,
    Admin(admin): Admin,
    PathArguments(user_id): PathArguments<String>,
    JsonBody(body): JsonBody<SuspendBody>,
) -> Result<JsonResponse<Value>, ApiError> {
    blocking::run(move || {
        let account = account(&accounts, &user_id)?;
        must_be_another(&admin, &account.user_id)?;
        accounts.set_suspended(&account.user_id, body.suspend)?;
        Ok::<_, ApiError>(JsonResponse(
            json!({ format!("user_{}_suspended", account.user_id): body.suspend }),
        ))
    })
    .await
}
