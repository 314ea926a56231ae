//! `POST …/rooms/{roomIdOrAlias}/make_room_admin` and `POST /_synapse/admin/v1/join/{roomIdOrAlias}`: power over a
//! room, and bringing a user into one.

use axum::{body::Bytes, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::RoomFinder;
use crate::{
    api::{
        ApiError, PathArguments,
        admin::{Admin, account, user_id},
        blocking,
        json::{JsonBody, JsonResponse},
    },
    federation::{RemoteRooms, joins::OwnChange},
    users::Accounts,
};

#[derive(Debug, Default, Deserialize)]
struct PowerBody {
    user_id: Option<String>,
}

/// `POST …/make_room_admin`: gives the administrator, or the user in the body, the power of the most powerful local
/// member.
pub async fn make_admin(
    State(finder): State<RoomFinder>,
    Admin(admin): Admin,
    PathArguments(room): PathArguments<String>,
    body: Bytes,
) -> Result<JsonResponse<Value>, ApiError> {
    let body: PowerBody = match body.is_empty() {
        true => PowerBody::default(),
        false => serde_json::from_slice(&body).map_err(|error| ApiError::bad_json(error.to_string()))?,
    };
    blocking::run(move || {
        let room_id = finder.find(&room)?;
        let user = body.user_id.as_deref().map(user_id).transpose()?.unwrap_or_else(|| admin.user_id.clone());
        let made = finder.rooms.make_admin(&room_id, &user)?;
        tracing::info!(admin = %admin.user_id, %user, %room_id, by = ?made.by, "a user was given power over a room");
        Ok::<_, ApiError>(JsonResponse(json!({})))
    })
    .await
}

/// Who is to join.
#[derive(Debug, Deserialize)]
pub struct JoinBody {
    user_id: String,
}

/// `POST …/join/{roomIdOrAlias}`: a local user joins, as they could do themselves; into a room that one has to be
/// invited to, the administrator's power in it invites them.
pub async fn join(
    State(finder): State<RoomFinder>,
    State(accounts): State<Accounts>,
    State(remote): State<RemoteRooms>,
    Admin(admin): Admin,
    PathArguments(room): PathArguments<String>,
    JsonBody(body): JsonBody<JoinBody>,
) -> Result<JsonResponse<Value>, ApiError> {
    let (room_id, user) = blocking::run(move || {
        let room_id = finder.find(&room)?;
        let user = account(&accounts, &body.user_id)?.user_id;
        finder.rooms.invite_if_needed(&room_id, &admin.user_id, &user)?;
        Ok::<_, ApiError>((room_id, user))
    })
    .await?;
    remote.join(OwnChange::new(user, room_id.clone(), Vec::new(), None)).await?;
    Ok(JsonResponse(json!({ "room_id": room_id })))
}
