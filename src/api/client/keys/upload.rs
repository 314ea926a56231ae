//! `POST /keys/upload`: a device's keys.

use axum::extract::State;
use ruma::{
    api::client::keys::upload_keys::v3::{Request, Response},
    encryption::OneTimeKey,
    serde::Raw,
};

use crate::{
    api::{ApiResult, Requester, Ruma, RumaResponse, blocking},
    users::{
        EncryptionKeys,
        keys::{KeyUpload, NamedKey},
    },
};

/// Takes the keys and answers how many one-time keys there are now.
pub async fn upload(
    State(keys): State<EncryptionKeys>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let named = |(name, key): (ruma::OwnedOneTimeKeyId, Raw<OneTimeKey>)| {
        NamedKey::new(name.as_str(), key.into_json())
    };
    let counts = blocking::run(move || {
        let upload = KeyUpload {
            device_keys: request.device_keys.map(Raw::into_json),
            one_time_keys: request.one_time_keys.into_iter().map(named).collect::<Result<_, _>>()?,
            fallback_keys: request.fallback_keys.into_iter().map(named).collect::<Result<_, _>>()?,
        };
        keys.upload(&requester.user_id, requester.user, &requester.device_id, &upload)
    })
    .await?;
    let counts = counts.into_iter().map(|(algorithm, count)| (algorithm.into(), saturating(count)));
    Ok(RumaResponse(Response::new(counts.collect())))
}

fn saturating(count: u64) -> ruma::UInt {
    ruma::UInt::new_saturating(count)
}
