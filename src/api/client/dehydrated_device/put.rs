//! `PUT /dehydrated_device`: a new dehydrated device in place of the last one.

use axum::extract::State;
use ruma::{
    api::client::dehydrated_device::put_dehydrated_device::unstable::{Request, Response},
    encryption::OneTimeKey,
    serde::Raw,
};

use crate::{
    api::{ApiResult, Requester, Ruma, RumaResponse, blocking},
    users::{
        DehydratedDevices, NewDehydratedDevice, UserError,
        keys::{KeyUpload, NamedKey},
    },
};

/// Takes the device with its keys; answers its id.
pub async fn put(
    State(devices): State<DehydratedDevices>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let named = |(name, key): (ruma::OwnedOneTimeKeyId, Raw<OneTimeKey>)| {
        NamedKey::new(name.as_str(), key.into_json())
    };
    blocking::run(move || {
        let keys = KeyUpload {
            device_keys: Some(request.device_keys.into_json()),
            one_time_keys: request.one_time_keys.into_iter().map(named).collect::<Result<_, _>>()?,
            fallback_keys: request.fallback_keys.into_iter().map(named).collect::<Result<_, _>>()?,
        };
        let device = NewDehydratedDevice {
            device_id: request.device_id.clone(),
            display_name: request.initial_device_display_name,
            data: request.device_data.into_json(),
            keys,
        };
        devices.put(&requester.user_id, requester.user, device)?;
        Ok::<_, UserError>(RumaResponse(Response::new(request.device_id)))
    })
    .await
}
