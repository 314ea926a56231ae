//! `…/users/{userId}/override_ratelimit`: how often a user may send events, where that is not as for everybody.

use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api::{
        ApiError, PathArguments,
        admin::{Admin, account},
        blocking,
        json::{JsonBody, JsonResponse},
    },
    storage::records::MessageRateOverride,
    users::Accounts,
};

fn shown(rate: Option<MessageRateOverride>) -> Value {
    match rate {
        None => json!({}),
        Some(rate) => {
            json!({ "messages_per_second": rate.messages_per_second, "burst_count": rate.burst })
        }
    }
}

/// `GET`.
pub async fn get(
    State(accounts): State<Accounts>,
    _admin: Admin,
    PathArguments(user_id): PathArguments<String>,
) -> Result<JsonResponse<Value>, ApiError> {
    let account = blocking::run(move || account(&accounts, &user_id)).await?;
    Ok(JsonResponse(shown(account.record.message_rate)))
}

/// The limit; what is left out is 0, and 0 a second is no limit.
#[derive(Debug, Deserialize)]
pub struct Body {
    #[serde(default)]
    messages_per_second: u32,
    #[serde(default)]
    burst_count: u32,
}

/// `POST`.
pub async fn set(
    State(accounts): State<Accounts>,
    _admin: Admin,
    PathArguments(user_id): PathArguments<String>,
    JsonBody(body): JsonBody<Body>,
) -> Result<JsonResponse<Value>, ApiError> {
    let rate = MessageRateOverride { messages_per_second: body.messages_per_second, burst: body.burst_count };
    blocking::run(move || {
        let account = account(&accounts, &user_id)?;
        accounts.set_message_rate(&account.user_id, Some(rate))?;
        Ok::<_, ApiError>(JsonResponse(shown(Some(rate))))
    })
    .await
}

/// `DELETE`.
pub async fn remove(
    State(accounts): State<Accounts>,
    _admin: Admin,
    PathArguments(user_id): PathArguments<String>,
) -> Result<JsonResponse<Value>, ApiError> {
    blocking::run(move || {
        let account = account(&accounts, &user_id)?;
        accounts.set_message_rate(&account.user_id, None)?;
        Ok::<_, ApiError>(JsonResponse(json!({})))
    })
    .await
}
