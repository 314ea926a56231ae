//! `GET /_matrix/client/v3/pushers`

use axum::extract::State;
use serde_json::{Value, json};

use crate::{
    api::{ApiError, Requester, blocking, json::JsonResponse},
    push::{Pusher, Pushers},
};

/// A user's pushers, with whether each is on and its device (MSC3881), for which ruma's type has no place.
pub async fn get(
    State(pushers): State<Pushers>,
    requester: Requester,
) -> Result<JsonResponse<Value>, ApiError> {
    let pushers = blocking::run(move || pushers.of_user(requester.user)).await?;
    let pushers: Vec<Value> = pushers.into_iter().map(shown).collect();
    Ok(JsonResponse(json!({ "pushers": pushers })))
}

/// A pusher as clients see it.
pub fn shown(pusher: Pusher) -> Value {
    let record = pusher.record;
    let mut shown = json!({
        "pushkey": pusher.pushkey,
        "app_id": pusher.app_id,
        "kind": "http",
        "app_display_name": record.app_display_name,
        "device_display_name": record.device_display_name,
        "lang": record.lang,
        "data": record.data,
        "org.matrix.msc3881.enabled": record.enabled,
        "org.matrix.msc3881.device_id": record.device_id,
    });
    if let (Some(tag), Some(shown)) = (record.profile_tag, shown.as_object_mut()) {
        shown.insert("profile_tag".to_owned(), json!(tag));
    }
    shown
}
