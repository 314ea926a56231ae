//! `POST /user/keys/claim`: one-time keys of this server's users' devices.

use axum::extract::State;
use ruma::api::federation::keys::claim_keys::v1::Request;
use serde::Serialize;

use crate::{
    api::{ApiError, blocking, federation::Signed, json::JsonResponse},
    users::{
        EncryptionKeys, UserError,
        keys::{ClaimedKeys, KeyClaims},
    },
};

/// The answer, with keys as they were uploaded.
#[derive(Debug, Serialize)]
pub struct Answer {
    one_time_keys: ClaimedKeys,
}

/// Answers a key of each device that has one left.
pub async fn claim(
    State(keys): State<EncryptionKeys>,
    Signed { request, .. }: Signed<Request>,
) -> Result<JsonResponse<Answer>, ApiError> {
    let claims: KeyClaims = request
        .one_time_keys
        .into_iter()
        .map(|(user_id, of_devices)| {
            let wanted = of_devices.into_iter().map(|(id, algorithm)| (id, algorithm.to_string()));
            (user_id, wanted.collect())
        })
        .collect();
    blocking::run(move || Ok::<_, UserError>(JsonResponse(Answer { one_time_keys: keys.claim(&claims)? })))
        .await
}
