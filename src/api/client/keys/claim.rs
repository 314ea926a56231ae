//! `POST /keys/claim`: one-time keys to begin sessions with.

use std::collections::BTreeMap;

use axum::extract::State;
use ruma::api::client::keys::claim_keys::v3::Request;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    api::{ApiError, Requester, Ruma, blocking, json::JsonResponse, limits},
    federation::RemoteKeys,
    users::{
        EncryptionKeys, UserError,
        keys::{ClaimedKeys, KeyClaims},
        limits::KEY_CLAIMS_MAX,
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
    State(remote): State<RemoteKeys>,
    _requester: Requester,
    Ruma(request): Ruma<Request>,
) -> Result<JsonResponse<Answer>, ApiError> {
    let time_max = request.timeout.unwrap_or(limits::KEY_QUERY_TIME_DEFAULT);
    let claims = request.one_time_keys.into_iter().map(|(user_id, of_devices)| {
        let wanted = of_devices.into_iter().map(|(id, algorithm)| (id, algorithm.to_string()));
        (user_id, wanted.collect())
    });
    let (here, elsewhere): (KeyClaims, KeyClaims) = claims.partition(|(user_id, _)| keys.is_local(user_id));
    if elsewhere.values().map(BTreeMap::len).sum::<usize>() > KEY_CLAIMS_MAX {
        let max = format!("{KEY_CLAIMS_MAX} claims");
        return Err(UserError::TooLarge { what: "A request", max }.into());
    }
    // After all that may refuse the request: keys that were claimed are gone.
    let mut claimed = blocking::run(move || keys.claim(&here)).await?;
    let (from_elsewhere, failed) = remote.claim(elsewhere, time_max).await;
    claimed.extend(from_elsewhere);
    let failures = failed.iter().map(|server| (server.to_string(), json!({}))).collect();
    Ok(JsonResponse(Answer { one_time_keys: claimed, failures }))
}
