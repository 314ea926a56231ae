//! `POST /keys/claim`: one-time keys to begin sessions with.

use std::collections::BTreeMap;

use axum::extract::State;
use ruma::api::client::keys::claim_keys::v3::Request;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    api::{ApiError, Requester, Ruma, blocking, json::JsonResponse},
    users::{
        EncryptionKeys, UserError,
        keys::{ClaimedKeys, KeyClaims},
    },
};

/// The answer, with keys as they were uploaded.
#[derive(Debug, Serialize)]
pub struct Answer {
    one_time_keys: ClaimedKeys,
    failures: BTreeMap<String, Value>,
}

/// Answers a key of each device that has one left.
pub async fn claim(
    State(keys): State<EncryptionKeys>,
    _requester: Requester,
    Ruma(request): Ruma<Request>,
) -> Result<JsonResponse<Answer>, ApiError> {
    blocking::run(move || {
        let claims: KeyClaims = request
            .one_time_keys
            .into_iter()
            .map(|(user_id, of_devices)| {
                let wanted = of_devices.into_iter().map(|(id, algorithm)| (id, algorithm.to_string()));
                (user_id, wanted.collect())
            })
            .collect();
        let remote = claims.keys().filter(|user_id| !keys.is_local(user_id));
        let failures = remote.map(|user_id| (user_id.server_name().to_string(), json!({}))).collect();
        Ok::<_, UserError>(JsonResponse(Answer { one_time_keys: keys.claim(&claims)?, failures }))
    })
    .await
}
