//! `DELETE /room_keys/keys…`: removing keys.

use axum::extract::State;
use ruma::api::client::backup::{
    delete_backup_keys, delete_backup_keys_for_room, delete_backup_keys_for_session,
};

use super::{Changed, number};
use crate::{
    api::{ApiError, Requester, Ruma, blocking, json::JsonResponse},
    users::{KeyBackups, backups::KeyScope},
};

type Answer = Result<JsonResponse<Changed>, ApiError>;

async fn remove(backups: KeyBackups, requester: Requester, version: &str, scope: KeyScope) -> Answer {
    let version = number(version)?;
    let state = blocking::run(move || backups.remove(requester.user, version, &scope)).await?;
    Ok(JsonResponse(state.into()))
}

/// All keys.
pub(super) async fn all(
    State(backups): State<KeyBackups>,
    requester: Requester,
    Ruma(request): Ruma<delete_backup_keys::v3::Request>,
) -> Answer {
    remove(backups, requester, &request.version, KeyScope::All).await
}

/// Keys of one room.
pub(super) async fn room(
    State(backups): State<KeyBackups>,
    requester: Requester,
    Ruma(request): Ruma<delete_backup_keys_for_room::v3::Request>,
) -> Answer {
    remove(backups, requester, &request.version, KeyScope::Room(request.room_id)).await
}

/// One key.
pub(super) async fn session(
    State(backups): State<KeyBackups>,
    requester: Requester,
    Ruma(request): Ruma<delete_backup_keys_for_session::v3::Request>,
) -> Answer {
    let scope = KeyScope::Session(request.room_id, request.session_id);
    remove(backups, requester, &request.version, scope).await
}
