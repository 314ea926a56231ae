//! `GET /_synapse/admin/v1/rooms/{roomId}` and `…/members`: a room.

use axum::extract::State;
use serde_json::{Value, json};

use super::{list::entry, room_id};
use crate::{
    api::{ApiError, PathArguments, admin::Admin, blocking, json::JsonResponse},
    rooms::RoomAdministration,
};

/// `GET …/{roomId}`.
pub async fn details(
    State(rooms): State<RoomAdministration>,
    _admin: Admin,
    PathArguments(room): PathArguments<String>,
) -> Result<JsonResponse<Value>, ApiError> {
    let details = blocking::run(move || Ok::<_, ApiError>(rooms.details(&room_id(&room)?)?)).await?;
    let mut shown = entry(&details.overview, details.state_events);
    if let Value::Object(shown) = &mut shown {
        for (name, value) in [
            ("topic", json!(details.topic)),
            ("avatar", json!(details.avatar)),
            ("joined_local_devices", json!(details.joined_local_devices)),
            ("forgotten", json!(details.forgotten)),
            ("tombstoned", json!(details.tombstoned)),
            ("replacement_room", json!(details.replacement_room)),
        ] {
            shown.insert(name.to_owned(), value);
        }
    }
    Ok(JsonResponse(shown))
}

/// `GET …/{roomId}/members`.
pub async fn members(
    State(rooms): State<RoomAdministration>,
    _admin: Admin,
    PathArguments(room): PathArguments<String>,
) -> Result<JsonResponse<Value>, ApiError> {
    let members = blocking::run(move || Ok::<_, ApiError>(rooms.members(&room_id(&room)?)?)).await?;
    Ok(JsonResponse(json!({ "total": members.len(), "members": members })))
}
