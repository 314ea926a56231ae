//! `GET /_synapse/admin/v2/users/{userId}`: an account.

use axum::extract::State;
use serde_json::Value;

use super::shown;
use crate::{
    api::{
        ApiError, PathArguments,
        admin::{Admin, account},
        blocking,
        json::JsonResponse,
    },
    users::{Accounts, Devices, Profiles},
};

/// The handler.
pub async fn details(
    State(accounts): State<Accounts>,
    State(profiles): State<Profiles>,
    State(devices): State<Devices>,
    _admin: Admin,
    PathArguments(user_id): PathArguments<String>,
) -> Result<JsonResponse<Value>, ApiError> {
    blocking::run(move || {
        let account = account(&accounts, &user_id)?;
        Ok::<_, ApiError>(JsonResponse(shown::details(&profiles, &devices, &account)?))
    })
    .await
}
