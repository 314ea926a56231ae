//! `GET /_synapse/admin/v1/username_available`: whether a name is free, also where nobody may register.

use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api::{
        ApiError,
        admin::{Admin, FilterQuery},
        blocking,
        json::JsonResponse,
    },
    users::Accounts,
};

/// The name.
#[derive(Debug, Deserialize)]
pub struct Query {
    username: String,
}

/// The handler.
pub async fn check(
    State(accounts): State<Accounts>,
    _admin: Admin,
    FilterQuery(query): FilterQuery<Query>,
) -> Result<JsonResponse<Value>, ApiError> {
    blocking::run(move || accounts.free_user_id(&query.username)).await?;
    Ok(JsonResponse(json!({ "available": true })))
}
