//! `POST /_matrix/client/v3/pushers/set`

use axum::extract::State;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    api::{
        ApiError, Requester, blocking,
        json::{JsonBody, JsonResponse},
    },
    push::{NewPusher, PushDelivery, Pushers},
};

/// The body. ruma's type knows neither whether a pusher is on (MSC3881) nor a missing `kind`.
#[derive(Debug, Deserialize)]
pub struct Body {
    app_id: String,
    pushkey: String,
    #[serde(deserialize_with = "present")]
    kind: Option<String>,
    app_display_name: Option<String>,
    device_display_name: Option<String>,
    profile_tag: Option<String>,
    lang: Option<String>,
    data: Option<Map<String, Value>>,
    #[serde(default)]
    append: bool,
    #[serde(rename = "org.matrix.msc3881.enabled")]
    enabled: Option<bool>,
}

/// A field that may be `null`, but not be left out.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(deserializer)
}

/// Adds, changes or deletes a pusher.
pub async fn set(
    State(pushers): State<Pushers>,
    State(delivery): State<PushDelivery>,
    requester: Requester,
    JsonBody(body): JsonBody<Body>,
) -> Result<JsonResponse<Value>, ApiError> {
    match body.kind.as_deref() {
        None => blocking::run(move || pushers.remove(requester.user, &body.app_id, &body.pushkey)).await?,
        Some("http") => {
            let (user, pusher) = (requester.user, new_pusher(body, requester)?);
            delivery.check_gateway(pusher.gateway()?).await?;
            blocking::run(move || pushers.set(user, pusher)).await?;
            delivery.pusher_set();
        }
        Some("email") => return Err(ApiError::invalid_param("This server sends no notifications by email")),
        Some(_) => return Err(ApiError::invalid_param("This server knows pushers of the kind `http` only")),
    }
    Ok(JsonResponse(json!({})))
}

fn new_pusher(body: Body, requester: Requester) -> Result<NewPusher, ApiError> {
    let needed = |value: Option<String>, name: &str| {
        value.ok_or_else(|| ApiError::missing_param(format!("missing field `{name}`")))
    };
    Ok(NewPusher {
        app_id: body.app_id,
        pushkey: body.pushkey,
        app_display_name: needed(body.app_display_name, "app_display_name")?,
        device_display_name: needed(body.device_display_name, "device_display_name")?,
        profile_tag: body.profile_tag,
        lang: needed(body.lang, "lang")?,
        data: body.data.ok_or_else(|| ApiError::missing_param("missing field `data`"))?,
        device_id: requester.device_id,
        append: body.append,
        enabled: body.enabled,
    })
}
