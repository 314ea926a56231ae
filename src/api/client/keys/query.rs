//! `POST /keys/query`: identity and cross-signing keys of users.

use std::time::Duration;

use axum::extract::State;
use ruma::{
    OwnedDeviceId, OwnedUserId,
    api::client::keys::get_keys::v3::{Request, Response},
    serde::Raw,
};
use serde_json::{json, value::RawValue};

use crate::{
    api::{ApiError, ApiResult, Requester, Ruma, RumaResponse, blocking, limits},
    federation::RemoteKeys,
    storage::StorageError,
    users::{
        EncryptionKeys, UserError,
        keys::{KeyQuery, UserKeys},
    },
};

/// Answers the keys. Servers that could not be asked in time stand under `failures`.
pub async fn query(
    State(keys): State<EncryptionKeys>,
    State(remote): State<RemoteKeys>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    if request.device_keys.len() > limits::KEY_QUERY_USERS_MAX {
        let max = format!("{} users", limits::KEY_QUERY_USERS_MAX);
        return Err(UserError::TooLarge { what: "A request", max }.into());
    }
    let time_max = request.timeout.unwrap_or(limits::KEY_QUERY_TIME_DEFAULT);
    let remote_users =
        request.device_keys.keys().filter(|user_id| !keys.is_local(user_id)).cloned().collect();
    let found = ask(&remote, remote_users, time_max).await?;
    blocking::run(move || {
        let mut response = Response::new();
        response.failures = found.failures.iter().map(|server| (server.to_string(), json!({}))).collect();
        let mut elsewhere = found.users;
        for (user_id, devices) in request.device_keys {
            if keys.is_local(&user_id) {
                let found = keys.query(&user_id, &devices, KeyQuery::User(&requester.user_id))?;
                add(&mut response, user_id, found, &[]);
            } else if let Some(found) = elsewhere.remove(&user_id) {
                let master = found.master;
                let master = master.map(|key| keys.with_own_signatures(key, &user_id, &requester.user_id));
                let (master, self_signing) = (master.transpose()?, found.self_signing);
                let found = UserKeys { devices: found.devices, master, self_signing, user_signing: None };
                add(&mut response, user_id, found, &devices);
            }
        }
        Ok::<_, StorageError>(RumaResponse(response))
    })
    .await
}

async fn ask(
    remote: &RemoteKeys,
    users: Vec<OwnedUserId>,
    time_max: Duration,
) -> Result<crate::federation::RemoteKeyAnswer, ApiError> {
    if users.is_empty() {
        Ok(crate::federation::RemoteKeyAnswer::default())
    } else {
        Ok(remote.query(users, time_max).await?)
    }
}

/// Adds a user's keys, of the wanted devices or, if none is named, of all.
fn add(response: &mut Response, user_id: OwnedUserId, found: UserKeys, wanted: &[OwnedDeviceId]) {
    let is_wanted = |id: &OwnedDeviceId| wanted.is_empty() || wanted.contains(id);
    let of_devices = found.devices.into_iter().filter(|(id, _)| is_wanted(id));
    let of_devices = of_devices.map(|(id, keys)| (id, Raw::from_json(keys))).collect();
    response.device_keys.insert(user_id.clone(), of_devices);
    let named = |key: Option<Box<RawValue>>| key.map(|key| (user_id.clone(), Raw::from_json(key)));
    response.master_keys.extend(named(found.master));
    response.self_signing_keys.extend(named(found.self_signing));
    response.user_signing_keys.extend(named(found.user_signing));
}
