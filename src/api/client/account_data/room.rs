//! `GET` and `PUT /user/{userId}/rooms/{roomId}/account_data/{type}`: account data for one room.

use axum::extract::State;
use ruma::{
    api::client::config::{get_room_account_data, set_room_account_data},
    serde::Raw,
};

use super::ContentRequest;
use crate::{
    api::{ApiError, ApiResult, Requester, Ruma, RumaResponse, blocking},
    users::AccountData,
};

/// Answers the content.
pub async fn get(
    State(account_data): State<AccountData>,
    requester: Requester,
    Ruma(request): Ruma<get_room_account_data::v3::Request>,
) -> ApiResult<get_room_account_data::v3::Response> {
    requester.must_be(&request.user_id)?;
    blocking::run(move || {
        let event_type = request.event_type.to_string();
        let content = account_data.get(requester.user, Some(&request.room_id), &event_type)?;
        let content = content.ok_or_else(|| ApiError::not_found("There is no account data of this type"))?;
        let response = get_room_account_data::v3::Response::new(Raw::from_json(content));
        Ok::<_, ApiError>(RumaResponse(response))
    })
    .await
}

/// Sets the content. The room must be known here.
pub async fn set(
    State(account_data): State<AccountData>,
    requester: Requester,
    ContentRequest(request): ContentRequest<set_room_account_data::v3::Request>,
) -> ApiResult<set_room_account_data::v3::Response> {
    requester.must_be(&request.user_id)?;
    blocking::run(move || {
        let event_type = request.event_type.to_string();
        account_data.set(requester.user, Some(&request.room_id), &event_type, request.data.json())
    })
    .await?;
    Ok(RumaResponse(set_room_account_data::v3::Response::new()))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use crate::api::client::fixture::TestServer;

    fn path(room: &str, event_type: &str) -> String {
        format!("/_matrix/client/v3/user/@alice:example.org/rooms/{room}/account_data/{event_type}")
    }

    #[tokio::test]
    async fn what_is_set_for_a_room_is_got_for_it_alone() {
        let server = TestServer::new();
        let alice = server.user("alice");
        server.known_room("!r:example.org");
        server.known_room("!other:example.org");
        let token = Some(alice.access_token.as_str());
        let content = json!({ "n": 1 });
        let (status, answer) = server.put(&path("!r:example.org", "org.a"), token, content.clone()).await;
        assert_eq!((status, answer), (StatusCode::OK, json!({})));
        assert_eq!(server.get(&path("!r:example.org", "org.a"), token).await, (StatusCode::OK, content));
        assert_eq!(server.get(&path("!other:example.org", "org.a"), token).await.0, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn what_does_not_fit_is_refused() {
        let server = TestServer::new();
        let alice = server.user("alice");
        server.known_room("!r:example.org");
        let token = Some(alice.access_token.as_str());
        for (room, event_type, status, errcode) in [
            ("!r:example.org", "m.fully_read", 405, "M_BAD_JSON"),
            ("!r:example.org", "m.push_rules", 405, "M_BAD_JSON"),
            ("!unknown:example.org", "org.a", 404, "M_NOT_FOUND"),
            ("nonsense", "org.a", 400, "M_INVALID_PARAM"),
        ] {
            let (got, answer) = server.put(&path(room, event_type), token, json!({})).await;
            assert_eq!((got.as_u16(), answer["errcode"].as_str()), (status, Some(errcode)), "{room}");
        }
    }
}
