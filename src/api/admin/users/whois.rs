//! `GET …/whois/{userId}`: from where a user's devices were last seen (client-server API, "Server
//! Administration"). Administrators may ask of everybody, others of themselves.

use axum::extract::State;
use serde_json::{Map, Value, json};

use crate::{
    api::{ApiError, PathArguments, Requester, admin::account, blocking, json::JsonResponse},
    users::{Accounts, Device, Devices},
};

/// The handler.
pub async fn whois(
    State(accounts): State<Accounts>,
    State(devices): State<Devices>,
    requester: Requester,
    PathArguments(user_id): PathArguments<String>,
) -> Result<JsonResponse<Value>, ApiError> {
    if !requester.is_admin && requester.user_id != user_id.as_str() {
        return Err(ApiError::forbidden("You are not a server admin"));
    }
    blocking::run(move || {
        let account = account(&accounts, &user_id)?;
        let devices: Map<String, Value> = devices
            .list(account.user)?
            .into_iter()
            .map(|device| (device.device_id.to_string(), shown(&device)))
            .collect();
        Ok::<_, ApiError>(JsonResponse(json!({ "user_id": account.user_id, "devices": devices })))
    })
    .await
}

fn shown(device: &Device) -> Value {
    let mut connection = Map::new();
    if let Some(address) = device.last_seen_address {
        connection.insert("ip".to_owned(), json!(address));
    }
    if let Some(at) = device.last_seen_at {
        connection.insert("last_seen".to_owned(), json!(at));
    }
    json!({ "sessions": [{ "connections": [connection] }] })
}
