//! `POST /user/keys/query`: identity and cross-signing keys of this server's users.

use axum::extract::State;
use ruma::{
    api::federation::keys::get_keys::v1::{Request, Response},
    serde::Raw,
};

use crate::{
    api::{ApiResult, RumaResponse, blocking, federation::Signed},
    storage::StorageError,
    users::{EncryptionKeys, keys::KeyQuery},
};

/// Answers what everybody may see. Users of other servers are left out.
pub async fn query(
    State(keys): State<EncryptionKeys>,
    Signed { request, .. }: Signed<Request>,
) -> ApiResult<Response> {
    blocking::run(move || {
        let mut response = Response::default();
        for (user_id, devices) in
            request.device_keys.into_iter().filter(|(user_id, _)| keys.is_local(user_id))
        {
            let found = keys.query(&user_id, &devices, KeyQuery::Server)?;
            let of_devices = found.devices.into_iter().map(|(id, keys)| (id, Raw::from_json(keys)));
            response.device_keys.insert(user_id.clone(), of_devices.collect());
            response.master_keys.extend(found.master.map(|key| (user_id.clone(), Raw::from_json(key))));
            response.self_signing_keys.extend(found.self_signing.map(|key| (user_id, Raw::from_json(key))));
        }
        Ok::<_, StorageError>(RumaResponse(response))
    })
    .await
}
