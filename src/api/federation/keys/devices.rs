//! `GET /user/devices/{userId}`: a user's devices with the update that the list includes.

use axum::extract::State;
use ruma::{
    UInt,
    api::federation::device::get_devices::v1::{Request, Response, UserDevice},
    serde::Raw,
};

use crate::{
    api::{ApiError, ApiResult, RumaResponse, blocking, federation::Signed},
    users::EncryptionKeys,
};

/// Answers the devices that have identity keys.
pub async fn devices(
    State(keys): State<EncryptionKeys>,
    Signed { request, .. }: Signed<Request>,
) -> ApiResult<Response> {
    blocking::run(move || {
        if !keys.is_local(&request.user_id) {
            return Err(ApiError::not_found("This is not a user of this server"));
        }
        let (stream_id, found) = keys.published(&request.user_id)?;
        let mut response = Response::new(request.user_id, UInt::new_saturating(stream_id));
        let devices = found.devices.into_iter().map(|(id, keys)| UserDevice::new(id, Raw::from_json(keys)));
        response.devices = devices.collect();
        response.master_key = found.master.map(Raw::from_json);
        response.self_signing_key = found.self_signing.map(Raw::from_json);
        Ok(RumaResponse(response))
    })
    .await
}
