//! `POST /_synapse/admin/v1/users/{userId}/login`: an access token for another user's account. The session is a
//! device of its own, which the user sees in the list of devices.

use axum::{body::Bytes, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api::{
        ApiError, PathArguments,
        admin::{Admin, account, must_be_another},
        blocking,
        json::JsonResponse,
    },
    users::{Accounts, NewDevice, Sessions},
};

#[derive(Debug, Default, Deserialize)]
struct Body {
    valid_until_ms: Option<u64>,
}

/// The handler.
pub async fn login_as(
    State(accounts): State<Accounts>,
    State(sessions): State<Sessions>,
    Admin(admin): Admin,
    PathArguments(user_id): PathArguments<String>,
    body: Bytes,
) -> Result<JsonResponse<Value>, ApiError> {
    let body: Body = match body.is_empty() {
        true => Body::default(),
        false => serde_json::from_slice(&body).map_err(|error| ApiError::bad_json(error.to_string()))?,
    };
    blocking::run(move || {
        let account = account(&accounts, &user_id)?;
        must_be_another(&admin, &account.user_id)?;
        if account.record.is_deactivated {
            return Err(ApiError::invalid_param("The account is deactivated"));
        }
        let display_name = Some(format!("Administrator {}", admin.user_id));
        let device = NewDevice { display_name, ..NewDevice::default() };
        let started = sessions.start_until(&account.user_id, device, body.valid_until_ms)?;
        tracing::warn!(admin = %admin.user_id, user_id = %account.user_id, "an administrator logged in as a user");
        Ok(JsonResponse(json!({ "access_token": started.access_token })))
    })
    .await
}
