//! `…/v2/users/{userId}/devices`: a user's devices.

use axum::extract::{FromRef, State};
use ruma::OwnedDeviceId;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api::{
        ApiError, ApiState, PathArguments,
        admin::{Admin, account},
        blocking,
        json::{JsonBody, JsonResponse},
    },
    users::{AccountDetails, Accounts, Device, Devices, NewDevice, Sessions},
};

/// What lists and changes devices.
#[derive(Clone)]
pub struct DeviceAdmin {
    accounts: Accounts,
    devices: Devices,
    sessions: Sessions,
}

impl FromRef<ApiState> for DeviceAdmin {
    fn from_ref(state: &ApiState) -> Self {
        let users = &state.users;
        Self {
            accounts: users.accounts.clone(),
            devices: users.devices.clone(),
            sessions: users.sessions.clone(),
        }
    }
}

fn shown(account: &AccountDetails, device: Device) -> Value {
    json!({
        "device_id": device.device_id,
        "display_name": device.display_name,
        "last_seen_ip": device.last_seen_address,
        "last_seen_ts": device.last_seen_at,
        // Not kept here.
        "last_seen_user_agent": null,
        "user_id": account.user_id,
        "dehydrated": false,
    })
}

/// `GET …/devices`.
pub async fn list(
    State(service): State<DeviceAdmin>,
    _admin: Admin,
    PathArguments(user_id): PathArguments<String>,
) -> Result<JsonResponse<Value>, ApiError> {
    blocking::run(move || {
        let account = account(&service.accounts, &user_id)?;
        let devices = service.devices.list(account.user)?;
        let devices: Vec<_> = devices.into_iter().map(|device| shown(&account, device)).collect();
        Ok::<_, ApiError>(JsonResponse(json!({ "total": devices.len(), "devices": devices })))
    })
    .await
}

/// `GET …/devices/{deviceId}`.
pub async fn get(
    State(service): State<DeviceAdmin>,
    _admin: Admin,
    PathArguments((user_id, device_id)): PathArguments<(String, OwnedDeviceId)>,
) -> Result<JsonResponse<Value>, ApiError> {
    blocking::run(move || {
        let account = account(&service.accounts, &user_id)?;
        let device = service.devices.get(account.user, &device_id)?;
        Ok::<_, ApiError>(JsonResponse(shown(&account, device)))
    })
    .await
}

/// A device to be made.
#[derive(Debug, Deserialize)]
pub struct CreateBody {
    device_id: OwnedDeviceId,
}

/// `POST …/devices`: does nothing for one that exists. Nobody gets the token of the session that is made with it.
pub async fn create(
    State(service): State<DeviceAdmin>,
    _admin: Admin,
    PathArguments(user_id): PathArguments<String>,
    JsonBody(body): JsonBody<CreateBody>,
) -> Result<JsonResponse<Value>, ApiError> {
    blocking::run(move || {
        let account = account(&service.accounts, &user_id)?;
        if !service.sessions.is_logged_in(account.user, &body.device_id)? {
            let device = NewDevice { device_id: Some(body.device_id), ..NewDevice::default() };
            service.sessions.start(&account.user_id, device)?;
        }
        Ok::<_, ApiError>(JsonResponse(json!({})))
    })
    .await
}

/// A new name.
#[derive(Debug, Deserialize)]
pub struct RenameBody {
    display_name: Option<String>,
}

/// `PUT …/devices/{deviceId}`.
pub async fn rename(
    State(service): State<DeviceAdmin>,
    _admin: Admin,
    PathArguments((user_id, device_id)): PathArguments<(String, OwnedDeviceId)>,
    JsonBody(body): JsonBody<RenameBody>,
) -> Result<JsonResponse<Value>, ApiError> {
    blocking::run(move || {
        let account = account(&service.accounts, &user_id)?;
        service.devices.rename(account.user, &device_id, body.display_name)?;
        Ok::<_, ApiError>(JsonResponse(json!({})))
    })
    .await
}

/// `DELETE …/devices/{deviceId}`: logs it out; one that does not exist is gone already.
pub async fn delete(
    State(service): State<DeviceAdmin>,
    _admin: Admin,
    PathArguments((user_id, device_id)): PathArguments<(String, OwnedDeviceId)>,
) -> Result<JsonResponse<Value>, ApiError> {
    blocking::run(move || {
        let account = account(&service.accounts, &user_id)?;
        service.sessions.end(account.user, &device_id)?;
        Ok::<_, ApiError>(JsonResponse(json!({})))
    })
    .await
}

/// Devices to be logged out.
#[derive(Debug, Deserialize)]
pub struct DeleteBody {
    devices: Vec<OwnedDeviceId>,
}

/// `POST …/delete_devices`.
pub async fn delete_many(
    State(service): State<DeviceAdmin>,
    _admin: Admin,
    PathArguments(user_id): PathArguments<String>,
    JsonBody(body): JsonBody<DeleteBody>,
) -> Result<JsonResponse<Value>, ApiError> {
    blocking::run(move || {
        let account = account(&service.accounts, &user_id)?;
        let most = crate::users::limits::DEVICES_DELETED_AT_ONCE_MAX;
        if body.devices.len() > most {
            return Err(ApiError::invalid_param(format!("At most {most} devices can be deleted at once")));
        }
        service.sessions.end_many(account.user, &body.devices)?;
        Ok(JsonResponse(json!({})))
    })
    .await
}
