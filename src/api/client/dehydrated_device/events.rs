//! `GET` and `POST /dehydrated_device/{deviceId}/events`: the messages that have waited for a dehydrated device.

use axum::extract::{Path, RawQuery, State};
use ruma::{
    OwnedDeviceId, api::client::dehydrated_device::get_events::unstable::Request, exports::serde_html_form,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    api::{ApiError, Requester, Ruma, blocking, json::JsonResponse, limits},
    storage::StreamPosition,
    users::{DehydratedDevices, to_device::Delivery},
};

/// From where on.
#[derive(Debug, Deserialize)]
struct Parameters {
    from: Option<String>,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Answer {
    events: Vec<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_batch: Option<String>,
}

/// Answers messages, and a token if there are more (the proposal's newer text).
pub async fn events(
    State(devices): State<DehydratedDevices>,
    requester: Requester,
    Path(device_id): Path<OwnedDeviceId>,
    RawQuery(query): RawQuery,
) -> Result<JsonResponse<Answer>, ApiError> {
    let parameters: Parameters = serde_html_form::from_str(query.as_deref().unwrap_or_default())
        .map_err(|error| ApiError::invalid_param(error.to_string()))?;
    let delivery = read(devices, requester, device_id, parameters.from).await?;
    let next_batch = delivery.more.then(|| delivery.up_to.0.to_string());
    Ok(JsonResponse(Answer { events: delivery.events, next_batch }))
}

/// The same with a token always, as clients of the older text ask until no messages come.
pub async fn events_by_post(
    State(devices): State<DehydratedDevices>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> Result<JsonResponse<Answer>, ApiError> {
    let delivery = read(devices, requester, request.device_id, request.next_batch).await?;
    let next_batch = Some(delivery.up_to.0.to_string());
    Ok(JsonResponse(Answer { events: delivery.events, next_batch }))
}

async fn read(
    devices: DehydratedDevices,
    requester: Requester,
    device_id: OwnedDeviceId,
    from: Option<String>,
) -> Result<Delivery, ApiError> {
    let from = match from {
        Some(token) => {
            token.parse().map_err(|_| ApiError::invalid_param("This is no token of this server"))?
        }
        None => 0,
    };
    blocking::run(move || {
        let limit = limits::DEHYDRATED_EVENTS_MAX;
        devices.messages(requester.user, &device_id, StreamPosition(from), limit)
    })
    .await
}
