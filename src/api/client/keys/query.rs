//! `POST /keys/query`: identity and cross-signing keys of users.

use axum::extract::State;
use ruma::{
    api::client::keys::get_keys::v3::{Request, Response},
    serde::Raw,
};
use serde_json::json;

use crate::{
    api::{ApiResult, Requester, Ruma, RumaResponse, blocking},
    users::{EncryptionKeys, keys::KeyQuery},
};

/// Answers the keys that are known here. Servers whose users can't be asked for stand under `failures`.
pub async fn query(
    State(keys): State<EncryptionKeys>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    blocking::run(move || {
        let mut response = Response::new();
        for (user_id, devices) in request.device_keys {
            if !keys.is_local(&user_id) {
                response.failures.insert(user_id.server_name().to_string(), json!({}));
                continue;
            }
            let found = keys.query(&user_id, &devices, KeyQuery::User(&requester.user_id))?;
            let of_devices = found.devices.into_iter().map(|(id, keys)| (id, Raw::from_json(keys))).collect();
            response.device_keys.insert(user_id.clone(), of_devices);
            response.master_keys.extend(found.master.map(|key| (user_id.clone(), Raw::from_json(key))));
            let self_signing = found.self_signing.map(|key| (user_id.clone(), Raw::from_json(key)));
            response.self_signing_keys.extend(self_signing);
            response.user_signing_keys.extend(found.user_signing.map(|key| (user_id, Raw::from_json(key))));
        }
        Ok::<_, crate::storage::StorageError>(RumaResponse(response))
    })
    .await
}
