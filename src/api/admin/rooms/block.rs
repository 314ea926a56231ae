//! `…/rooms/{roomId}/block`: rooms that nobody of this server may join.

use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::room_id;
use crate::{
    api::{
        ApiError, PathArguments,
        admin::Admin,
        blocking,
        json::{JsonBody, JsonResponse},
    },
    rooms::RoomBlocks,
};

/// `GET`.
pub async fn get(
    State(blocks): State<RoomBlocks>,
    _admin: Admin,
    PathArguments(room): PathArguments<String>,
) -> Result<JsonResponse<Value>, ApiError> {
    let by = blocking::run(move || Ok::<_, ApiError>(blocks.blocked_by(&room_id(&room)?)?)).await?;
    Ok(JsonResponse(match by {
        Some(by) => json!({ "block": true, "user_id": by }),
        None => json!({ "block": false }),
    }))
}

/// Whether the room is to be blocked.
#[derive(Debug, Deserialize)]
pub struct Body {
    block: bool,
}

/// `PUT`.
pub async fn set(
    State(blocks): State<RoomBlocks>,
    Admin(admin): Admin,
    PathArguments(room): PathArguments<String>,
    JsonBody(body): JsonBody<Body>,
) -> Result<JsonResponse<Value>, ApiError> {
    blocking::run(move || {
        let room_id = room_id(&room)?;
        if body.block {
            blocks.block(&room_id, admin.user_id)?;
        } else {
            blocks.unblock(&room_id)?;
        }
        Ok::<_, ApiError>(())
    })
    .await?;
    Ok(JsonResponse(json!({ "block": body.block })))
}
