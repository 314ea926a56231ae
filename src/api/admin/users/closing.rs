//! `POST /_synapse/admin/v1/deactivate/{userId}` and `reset_password/{userId}`: an account's end, and its password.

use axum::{body::Bytes, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api::{
        ApiError, PathArguments,
        admin::{Admin, account, must_be_another},
        blocking,
        json::{JsonBody, JsonResponse},
    },
    rooms::Memberships,
    users::Accounts,
};

#[derive(Debug, Default, Deserialize)]
struct DeactivateBody {
    #[serde(default)]
    erase: bool,
}

/// Closes an account. The body may be empty.
pub async fn deactivate(
    State(accounts): State<Accounts>,
    State(memberships): State<Memberships>,
    Admin(admin): Admin,
    PathArguments(user_id): PathArguments<String>,
    body: Bytes,
) -> Result<JsonResponse<Value>, ApiError> {
    let body: DeactivateBody = match body.is_empty() {
        true => DeactivateBody::default(),
        false => serde_json::from_slice(&body).map_err(|error| ApiError::bad_json(error.to_string()))?,
    };
    blocking::run(move || {
        let account = account(&accounts, &user_id)?;
        must_be_another(&admin, &account.user_id)?;
        if !account.record.is_deactivated {
            memberships.leave_all(&account.user_id)?;
            accounts.deactivate(&account.user_id, body.erase)?;
            tracing::info!(admin = %admin.user_id, user_id = %account.user_id, "an administrator closed an account");
        }
        Ok::<_, ApiError>(JsonResponse(json!({ "id_server_unbind_result": "success" })))
    })
    .await
}

/// The new password.
#[derive(Debug, Deserialize)]
pub struct PasswordBody {
    new_password: String,
    #[serde(default = "yes")]
    logout_devices: bool,
}

fn yes() -> bool {
    true
}

/// Gives an account a new password.
pub async fn reset_password(
    State(accounts): State<Accounts>,
    Admin(admin): Admin,
    PathArguments(user_id): PathArguments<String>,
    JsonBody(body): JsonBody<PasswordBody>,
) -> Result<JsonResponse<Value>, ApiError> {
    blocking::run(move || {
        let account = account(&accounts, &user_id)?;
        accounts.reset_password(&account.user_id, &body.new_password, body.logout_devices)?;
        tracing::info!(admin = %admin.user_id, user_id = %account.user_id, "an administrator set a password");
        Ok::<_, ApiError>(JsonResponse(json!({})))
    })
    .await
}
