//! `GET /room_keys/keys…`: restoring keys.

use axum::{extract::State, response::Response};
use ruma::api::client::backup::{get_backup_keys, get_backup_keys_for_room, get_backup_keys_for_session};
use serde_json::value::RawValue;

use super::{
    number,
    stream::{self, Wanted},
};
use crate::{
    api::{ApiError, Requester, Ruma, blocking, json::JsonResponse},
    users::KeyBackups,
};

/// All keys.
pub async fn all(
    State(backups): State<KeyBackups>,
    requester: Requester,
    Ruma(request): Ruma<get_backup_keys::v3::Request>,
) -> Result<Response, ApiError> {
    let wanted = Wanted { user: requester.user, version: number(&request.version)?, room_id: None };
    stream::respond(backups, wanted).await
}

/// The keys of one room.
pub async fn room(
    State(backups): State<KeyBackups>,
    requester: Requester,
    Ruma(request): Ruma<get_backup_keys_for_room::v3::Request>,
) -> Result<Response, ApiError> {
    let version = number(&request.version)?;
    let wanted = Wanted { user: requester.user, version, room_id: Some(request.room_id) };
    stream::respond(backups, wanted).await
}

/// One key.
pub async fn session(
    State(backups): State<KeyBackups>,
    requester: Requester,
    Ruma(request): Ruma<get_backup_keys_for_session::v3::Request>,
) -> Result<JsonResponse<Box<RawValue>>, ApiError> {
    let version = number(&request.version)?;
    blocking::run(move || {
        backups.session(requester.user, version, &request.room_id, &request.session_id).map(JsonResponse)
    })
    .await
}
