//! `GET /mutual_rooms`: the rooms that the user shares with another one.

use axum::extract::State;
use ruma::{OwnedRoomId, api::client::membership::get_mutual_rooms::unstable::Request};
use serde::Serialize;

use crate::{
    api::{ApiError, Requester, Ruma, blocking, json::JsonResponse},
    rooms::Members,
    storage::{Read, ShortRoomId, Storage},
};

/// The answer; ruma's type does not have `count`.
#[derive(Debug, Serialize)]
pub struct Mutual {
    joined: Vec<OwnedRoomId>,
    count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_batch: Option<String>,
}

/// The handler.
pub async fn mutual_rooms(
    State(members): State<Members>,
    State(storage): State<Storage>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> Result<JsonResponse<Mutual>, ApiError> {
    if request.user_id == requester.user_id {
        return Err(ApiError::invalid_param("`user_id` must be another user"));
    }
    let from = match request.from.as_deref() {
        None => ShortRoomId(0),
        Some(from) => {
            let number = from.strip_prefix('m').and_then(|number| number.parse().ok());
            ShortRoomId(number.ok_or_else(|| ApiError::invalid_param("`from` is no token of this server"))?)
        }
    };
    blocking::run(move || {
        let Some(other) = storage.short_user_id(&request.user_id)? else {
            return Ok(JsonResponse(Mutual { joined: Vec::new(), count: 0, next_batch: None }));
        };
        let mutual = members.mutual_rooms(requester.user, other, from)?;
        let next_batch = mutual.next.map(|room| format!("m{}", room.0));
        Ok::<_, ApiError>(JsonResponse(Mutual { joined: mutual.rooms, count: mutual.count, next_batch }))
    })
    .await
}
