//! `DELETE /dehydrated_device`: the dehydrated device is given up.

use axum::extract::State;
use ruma::api::client::dehydrated_device::delete_dehydrated_device::unstable::{Request, Response};

use crate::{
    api::{ApiResult, Requester, Ruma, RumaResponse, blocking},
    users::{DehydratedDevices, UserError},
};

/// Answers the id of the device that has gone; 404 where there is none.
pub async fn delete(
    State(devices): State<DehydratedDevices>,
    requester: Requester,
    _request: Ruma<Request>,
) -> ApiResult<Response> {
    blocking::run(move || {
        let device_id = devices.delete(requester.user)?;
        Ok::<_, UserError>(RumaResponse(Response::new(device_id)))
    })
    .await
}
