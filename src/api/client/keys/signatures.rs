//! `POST /keys/signatures/upload`: signatures on keys.

use std::collections::BTreeMap;

use axum::extract::State;
use ruma::{OwnedUserId, api::client::keys::upload_signatures::v3::Request};
use serde::Serialize;

use crate::{
    api::{ApiError, Requester, Ruma, blocking, json::JsonResponse},
    users::{
        EncryptionKeys,
        keys::{SignatureFailure, SignedObjects},
    },
};

/// Why a signature was refused.
#[derive(Debug, Serialize)]
struct Failure {
    errcode: &'static str,
    error: String,
}

/// The answer: what was refused, by user and key.
#[derive(Debug, Serialize)]
pub struct Answer {
    failures: BTreeMap<OwnedUserId, BTreeMap<String, Failure>>,
}

/// Takes what is right.
pub async fn upload(
    State(keys): State<EncryptionKeys>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> Result<JsonResponse<Answer>, ApiError> {
    let refused = blocking::run(move || {
        let by_user = request.signed_keys.iter().map(|(user_id, signed)| {
            let by_id = signed.iter().map(|(id, object)| (id.to_owned(), object.to_owned()));
            (user_id.clone(), by_id.collect())
        });
        let objects: SignedObjects = by_user.collect();
        keys.upload_signatures(&requester.user_id, requester.user, &objects)
    })
    .await?;
    let failures = refused.into_iter().map(|(user_id, by_id)| {
        let by_id = by_id.into_iter().map(|(id, failure)| (id, shown(failure)));
        (user_id, by_id.collect())
    });
    Ok(JsonResponse(Answer { failures: failures.collect() }))
}

fn shown(failure: SignatureFailure) -> Failure {
    let errcode = match failure {
        SignatureFailure::UnknownKey => "M_NOT_FOUND",
        SignatureFailure::OtherKey | SignatureFailure::NoSignature => "M_INVALID_PARAM",
        SignatureFailure::InvalidSignature => "M_INVALID_SIGNATURE",
    };
    Failure { errcode, error: failure.to_string() }
}
