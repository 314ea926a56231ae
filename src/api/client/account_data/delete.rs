//! `DELETE /user/{userId}/account_data/{type}`, also for one room (MSC3391). Unstable paths only.

use axum::extract::{Path, State};
use ruma::{OwnedRoomId, OwnedUserId};
use serde_json::{Value, json};

use crate::{
    api::{ApiError, Requester, blocking, json::JsonResponse},
    users::AccountData,
};

/// Deletes global account data.
pub async fn global(
    State(account_data): State<AccountData>,
    requester: Requester,
    path: Result<Path<(OwnedUserId, String)>, axum::extract::rejection::PathRejection>,
) -> Result<JsonResponse<Value>, ApiError> {
    let Path((user_id, event_type)) = path.map_err(|e| ApiError::invalid_param(e.to_string()))?;
    requester.must_be(&user_id)?;
    blocking::run(move || account_data.delete(requester.user, None, &event_type)).await?;
    Ok(JsonResponse(json!({})))
}

/// Deletes account data of a room.
pub async fn of_room(
    State(account_data): State<AccountData>,
    requester: Requester,
    path: Result<Path<(OwnedUserId, OwnedRoomId, String)>, axum::extract::rejection::PathRejection>,
) -> Result<JsonResponse<Value>, ApiError> {
    let Path((user_id, room_id, event_type)) = path.map_err(|e| ApiError::invalid_param(e.to_string()))?;
    requester.must_be(&user_id)?;
    blocking::run(move || account_data.delete(requester.user, Some(&room_id), &event_type)).await?;
    Ok(JsonResponse(json!({})))
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use serde_json::json;

    use crate::api::client::fixture::TestServer;

    #[tokio::test]
    async fn what_is_deleted_is_not_found() {
        let server = TestServer::new();
        let (alice, _bob) = (server.user("alice"), server.user("bob"));
        server.known_room("!r:example.org");
        let token = Some(alice.access_token.as_str());
        for place in ["", "/rooms/!r:example.org"] {
            let rest = |user: &str| format!("user/@{user}:example.org{place}/account_data/org.a");
            let path = format!("/_matrix/client/v3/{}", rest("alice"));
            server.put(&path, token, json!({"n": 1})).await;
            let delete = |user| format!("/_matrix/client/unstable/org.matrix.msc3391/{}", rest(user));
            let (status, answer) = server.send_raw(Method::DELETE, &delete("alice"), token, "").await;
            assert_eq!((status, answer), (StatusCode::OK, json!({})));
            let (status, answer) = server.get(&path, token).await;
            assert_eq!((status, &answer["errcode"]), (StatusCode::NOT_FOUND, &json!("M_NOT_FOUND")));
            let (status, _) = server.send_raw(Method::DELETE, &delete("bob"), token, "").await;
            assert_eq!(status, StatusCode::FORBIDDEN);
        }
    }
}
