//! `PUT /room_keys/keys…`: adding keys to the newest version.

use axum::extract::State;
use ruma::{
    OwnedRoomId,
    api::client::backup::{
        RoomKeyBackup, add_backup_keys, add_backup_keys_for_room, add_backup_keys_for_session,
    },
};

use super::{Changed, number};
use crate::{
    api::{ApiError, Requester, Ruma, blocking, json::JsonResponse},
    users::{KeyBackups, backups::BackedUpKey},
};

type Answer = Result<JsonResponse<Changed>, ApiError>;

async fn add(backups: KeyBackups, requester: Requester, version: &str, keys: Vec<BackedUpKey>) -> Answer {
    let version = number(version)?;
    let state = blocking::run(move || backups.add(requester.user, version, &keys)).await?;
    Ok(JsonResponse(state.into()))
}

fn of_room((room_id, backup): (OwnedRoomId, RoomKeyBackup)) -> impl Iterator<Item = BackedUpKey> {
    backup.sessions.into_iter().map(move |(session_id, data)| BackedUpKey {
        room_id: room_id.clone(),
        session_id,
        data: data.into_json(),
    })
}

/// Keys of several rooms.
pub(super) async fn all(
    State(backups): State<KeyBackups>,
    requester: Requester,
    Ruma(request): Ruma<add_backup_keys::v3::Request>,
) -> Answer {
    let keys = request.rooms.into_iter().flat_map(of_room).collect();
    add(backups, requester, &request.version, keys).await
}

/// Keys of one room.
pub(super) async fn room(
    State(backups): State<KeyBackups>,
    requester: Requester,
    Ruma(request): Ruma<add_backup_keys_for_room::v3::Request>,
) -> Answer {
    let keys = of_room((request.room_id, RoomKeyBackup::new(request.sessions))).collect();
    add(backups, requester, &request.version, keys).await
}

/// One key.
pub(super) async fn session(
    State(backups): State<KeyBackups>,
    requester: Requester,
    Ruma(request): Ruma<add_backup_keys_for_session::v3::Request>,
) -> Answer {
    let data = request.session_data.into_json();
    let key = BackedUpKey { room_id: request.room_id, session_id: request.session_id, data };
    add(backups, requester, &request.version, vec![key]).await
}
