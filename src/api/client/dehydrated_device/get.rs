//! `GET /dehydrated_device`: the user's dehydrated device.

use axum::extract::State;
use ruma::{
    api::client::dehydrated_device::get_dehydrated_device::unstable::{Request, Response},
    serde::Raw,
};

use crate::{
    api::{ApiResult, Requester, Ruma, RumaResponse, blocking},
    users::{DehydratedDevices, UserError},
};

/// Answers its id and its encrypted private keys; 404 where there is none.
pub async fn get(
    State(devices): State<DehydratedDevices>,
    requester: Requester,
    _request: Ruma<Request>,
) -> ApiResult<Response> {
    blocking::run(move || {
        let device = devices.get(requester.user)?;
        Ok::<_, UserError>(RumaResponse(Response::new(device.device_id, Raw::from_json(device.data))))
    })
    .await
}
