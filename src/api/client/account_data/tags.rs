//! `GET`, `PUT` and `DELETE /user/{userId}/rooms/{roomId}/tags`: the tags that one gives a room.

use axum::extract::State;
use ruma::api::client::tag::{create_tag, delete_tag, get_tags};
use serde_json::{Value, json};

use crate::{
    api::{ApiError, ApiResult, Requester, Ruma, RumaResponse, blocking, json::JsonResponse},
    users::{AccountData, UserError},
};

/// Answers all tags of the room.
pub async fn get(
    State(account_data): State<AccountData>,
    requester: Requester,
    Ruma(request): Ruma<get_tags::v3::Request>,
) -> Result<JsonResponse<Value>, ApiError> {
    requester.must_be(&request.user_id)?;
    blocking::run(move || {
        let tags = account_data.tags(requester.user, &request.room_id)?;
        Ok::<_, UserError>(JsonResponse(json!({ "tags": tags })))
    })
    .await
}

/// Gives the room a tag.
pub async fn set(
    State(account_data): State<AccountData>,
    requester: Requester,
    Ruma(request): Ruma<create_tag::v3::Request>,
) -> ApiResult<create_tag::v3::Response> {
    requester.must_be(&request.user_id)?;
    blocking::run(move || {
        let info = serde_json::to_value(&request.tag_info).map_err(ApiError::internal)?;
        account_data.set_tag(requester.user, &request.room_id, &request.tag, info)?;
        Ok::<_, ApiError>(RumaResponse(create_tag::v3::Response::new()))
    })
    .await
}

/// Takes a tag from the room.
pub async fn remove(
    State(account_data): State<AccountData>,
    requester: Requester,
    Ruma(request): Ruma<delete_tag::v3::Request>,
) -> ApiResult<delete_tag::v3::Response> {
    requester.must_be(&request.user_id)?;
    blocking::run(move || account_data.remove_tag(requester.user, &request.room_id, &request.tag)).await?;
    Ok(RumaResponse(delete_tag::v3::Response::new()))
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use serde_json::json;

    use crate::api::client::fixture::TestServer;

    const TAGS: &str = "/_matrix/client/v3/user/@alice:example.org/rooms/!r:example.org/tags";

    #[tokio::test]
    async fn tags_come_and_go() {
        let server = TestServer::new();
        let alice = server.user("alice");
        server.known_room("!r:example.org");
        let token = Some(alice.access_token.as_str());
        assert_eq!(server.get(TAGS, token).await, (StatusCode::OK, json!({ "tags": {} })));
        let (favourite, work) = (format!("{TAGS}/m.favourite"), format!("{TAGS}/u.work"));
        for (path, body) in [(&favourite, json!({ "order": 0.25 })), (&work, json!({}))] {
            assert_eq!(server.put(path, token, body).await, (StatusCode::OK, json!({})));
        }
        assert_eq!(server.send_raw(Method::DELETE, &work, token, "").await, (StatusCode::OK, json!({})));
        let expected = json!({ "tags": { "m.favourite": { "order": 0.25 } } });
        assert_eq!(server.get(TAGS, token).await, (StatusCode::OK, expected));
    }

    #[tokio::test]
    async fn others_tags_are_theirs() {
        let server = TestServer::new();
        let (_alice, bob) = (server.user("alice"), server.user("bob"));
        let token = Some(bob.access_token.as_str());
        assert_eq!(server.get(TAGS, token).await.0, StatusCode::FORBIDDEN);
        assert_eq!(server.put(&format!("{TAGS}/u.a"), token, json!({})).await.0, StatusCode::FORBIDDEN);
        let delete = server.send_raw(Method::DELETE, &format!("{TAGS}/u.a"), token, "").await;
        assert_eq!(delete.0, StatusCode::FORBIDDEN);
    }
}
