//! `POST /keys/device_signing/upload`: cross-signing keys.

use axum::extract::State;
use ruma::{
    api::client::keys::upload_signing_keys::v3::{Request, Response},
    serde::Raw,
};

use crate::{
    api::{
        ApiError, ApiResult, Requester, RumaResponse, blocking,
        rate_limits::LoginAttempts,
        uiaa::{WithAuth, authorize_by_password},
    },
    users::{
        EncryptionKeys, Operation, Uiaa,
        keys::{CrossSigningUpload, NewKeys},
    },
};

/// Takes the keys: a user's first ones at once, others after the user gave the password (MSC3967), which the users of
/// application services need not (application service API, "Cross-signing").
pub async fn upload(
    State(keys): State<EncryptionKeys>,
    State(uiaa): State<Uiaa>,
    attempts: LoginAttempts,
    requester: Requester,
    WithAuth(request): WithAuth<Request>,
) -> ApiResult<Response> {
    let upload = CrossSigningUpload {
        master: request.master_key.map(Raw::into_json),
        self_signing: request.self_signing_key.map(Raw::into_json),
        user_signing: request.user_signing_key.map(Raw::into_json),
    };
    let auth = request.auth;
    blocking::run(move || {
        let (user_id, user) = (&requester.user_id, requester.user);
        let needs_proof = keys.cross_signing_change(user_id, user, &upload)? == NewKeys::Changed;
        let is_trusted = requester.appservice.is_some();
        if needs_proof && !is_trusted {
            let operation =
                Operation::of_user("upload_cross_signing_keys", user_id.clone(), subject(&upload));
            authorize_by_password(&uiaa, &attempts, &operation, auth.as_ref())?;
        }
        keys.upload_cross_signing(user_id, user, &upload, needs_proof || is_trusted)?;
        Ok::<_, ApiError>(RumaResponse(Response::new()))
    })
    .await
}

/// What is proved for these keys counts for no others.
fn subject(upload: &CrossSigningUpload) -> String {
    let keys = [&upload.master, &upload.self_signing, &upload.user_signing];
    keys.map(|key| key.as_ref().map_or("", |key| key.get())).join("\0")
}
