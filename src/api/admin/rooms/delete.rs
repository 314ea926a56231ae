//! `DELETE …/rooms/{roomId}`: removes a room from this server, and tells how far that is.

use axum::{
    body::Bytes,
    extract::{FromRef, State},
};
use ruma::{OwnedRoomId, OwnedUserId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::room_id;
use crate::{
    api::{
        ApiError, ApiState, PathArguments, Requester,
        admin::{Admin, local_user_id},
        blocking,
        json::JsonResponse,
    },
    rooms::{
        RoomBlocks, RoomDeletions,
        deletion::{DeletionId, DeletionRequest, id_text, parse_id},
    },
    storage::records::{DeletionPhase, RoomDeletionRecord},
    users::Accounts,
};

/// What is to be done.
#[derive(Debug, Deserialize)]
struct Body {
    new_room_user_id: Option<String>,
    room_name: Option<String>,
    message: Option<String>,
    #[serde(default)]
    block: bool,
    #[serde(default = "yes")]
    purge: bool,
    #[serde(default)]
    force_purge: bool,
}

fn yes() -> bool {
    true
}

/// What deletes rooms.
#[derive(Clone)]
pub struct RoomRemover {
    deletions: RoomDeletions,
    blocks: RoomBlocks,
    accounts: Accounts,
}

impl FromRef<ApiState> for RoomRemover {
    fn from_ref(state: &ApiState) -> Self {
        Self {
            deletions: state.rooms.room_deletions.clone(),
            blocks: state.rooms.room_blocks.clone(),
            accounts: state.users.accounts.clone(),
        }
    }
}

impl RoomRemover {
    /// Blocks the room if that is asked for, and has it deleted if it is known here.
    fn schedule(
        &self,
        admin: Requester,
        room: &str,
        body: &[u8],
    ) -> Result<(OwnedRoomId, DeletionId), ApiError> {
        let room_id = room_id(room)?;
        let text = if body.is_empty() { b"{}" } else { body };
        let body: Body =
            serde_json::from_slice(text).map_err(|error| ApiError::bad_json(error.to_string()))?;
        let new_room_user = body.new_room_user_id.as_deref().map(|user| self.existing(user)).transpose()?;
        if body.block {
            self.blocks.block(&room_id, admin.user_id.clone())?;
        }
        let default = |text: Option<String>, default: &str| text.unwrap_or_else(|| default.to_owned());
        let request = DeletionRequest {
            by: admin.user_id,
            new_room_user,
            new_room_name: default(body.room_name, "Content Violation Notification"),
            message: default(
                body.message,
                "A room that you were in was closed by the administrators of this server.",
            ),
            purges: body.purge,
            forces: body.force_purge,
        };
        let id = self.deletions.schedule(&room_id, request)?;
        Ok((room_id, id))
    }

    fn existing(&self, user: &str) -> Result<OwnedUserId, ApiError> {
        let user_id = local_user_id(&self.accounts, user)?;
        match self.accounts.local_user(&user_id)? {
            Some(_) => Ok(user_id),
            None => Err(ApiError::invalid_param("`new_room_user_id` has no account here")),
        }
    }
}

/// `DELETE /_synapse/admin/v1/rooms/{roomId}`: answers when the room is gone.
pub async fn delete_v1(
    State(remover): State<RoomRemover>,
    Admin(admin): Admin,
    PathArguments(room): PathArguments<String>,
    body: Bytes,
) -> Result<JsonResponse<Value>, ApiError> {
    blocking::run(move || {
        let (_, id) = remover.schedule(admin, &room, &body)?;
        remover.deletions.work_off()?;
        let record =
            remover.deletions.get(id)?.ok_or_else(|| ApiError::not_found("The deletion is unknown"))?;
        match record.phase {
            DeletionPhase::Failed => Err(ApiError::internal(record.error.unwrap_or_default())),
            _ => Ok(JsonResponse(shut_down(&record))),
        }
    })
    .await
}

/// `DELETE /_synapse/admin/v2/rooms/{roomId}`: answers at once.
pub async fn delete_v2(
    State(remover): State<RoomRemover>,
    Admin(admin): Admin,
    PathArguments(room): PathArguments<String>,
    body: Bytes,
) -> Result<JsonResponse<Value>, ApiError> {
    let (_, id) = blocking::run(move || remover.schedule(admin, &room, &body)).await?;
    Ok(JsonResponse(json!({ "delete_id": id_text(id) })))
}

/// `GET /_synapse/admin/v2/rooms/{roomId}/delete_status`.
pub async fn status_of_room(
    State(deletions): State<RoomDeletions>,
    _admin: Admin,
    PathArguments(room): PathArguments<String>,
) -> Result<JsonResponse<Value>, ApiError> {
    let all = blocking::run(move || {
        let room_id = room_id(&room)?;
        let mut all = deletions.all()?;
        all.retain(|(_, record)| record.room_id == room_id);
        Ok::<_, ApiError>(all)
    })
    .await?;
    if all.is_empty() {
        return Err(ApiError::not_found("No deletion of this room is known"));
    }
    let results: Vec<_> = all.iter().map(|(id, record)| shown(*id, record)).collect();
    Ok(JsonResponse(json!({ "results": results })))
}

/// `GET /_synapse/admin/v2/rooms/delete_status/{deleteId}`.
pub async fn status(
    State(deletions): State<RoomDeletions>,
    _admin: Admin,
    PathArguments(id): PathArguments<String>,
) -> Result<JsonResponse<Value>, ApiError> {
    let unknown = || ApiError::not_found("The deletion is unknown");
    let id = parse_id(&id).ok_or_else(unknown)?;
    let record = blocking::run(move || deletions.get(id)).await?.ok_or_else(unknown)?;
    Ok(JsonResponse(shown(id, &record)))
}

fn shown(id: DeletionId, record: &RoomDeletionRecord) -> Value {
    let mut shown = json!({
        "delete_id": id_text(id),
        "room_id": record.room_id,
        "status": match record.phase {
            DeletionPhase::Scheduled => "scheduled",
            DeletionPhase::ShuttingDown | DeletionPhase::Purging => "active",
            DeletionPhase::Complete => "complete",
            DeletionPhase::Failed => "failed",
        },
        "phase": record.phase,
        "events_removed": record.events_removed,
        "shutdown_room": shut_down(record),
    });
    if let (Some(error), Value::Object(shown)) = (&record.error, &mut shown) {
        shown.insert("error".to_owned(), json!(error));
    }
    shown
}

fn shut_down(record: &RoomDeletionRecord) -> Value {
    json!({
        "kicked_users": record.kicked,
        "failed_to_kick_users": record.not_kicked,
        "local_aliases": record.aliases,
        "new_room_id": record.new_room,
    })
}
