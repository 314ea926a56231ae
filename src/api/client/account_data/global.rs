//! `GET` and `PUT /user/{userId}/account_data/{type}`: global account data.

use axum::extract::State;
use ruma::{
    api::client::config::{get_global_account_data, set_global_account_data},
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
    Ruma(request): Ruma<get_global_account_data::v3::Request>,
) -> ApiResult<get_global_account_data::v3::Response> {
    requester.must_be(&request.user_id)?;
    blocking::run(move || {
        let content = account_data.get(requester.user, None, &request.event_type.to_string())?;
        let content = content.ok_or_else(|| ApiError::not_found("There is no account data of this type"))?;
        let response = get_global_account_data::v3::Response::new(Raw::from_json(content));
        Ok::<_, ApiError>(RumaResponse(response))
    })
    .await
}

/// Sets the content.
pub async fn set(
    State(account_data): State<AccountData>,
    requester: Requester,
    ContentRequest(request): ContentRequest<set_global_account_data::v3::Request>,
) -> ApiResult<set_global_account_data::v3::Response> {
    requester.must_be(&request.user_id)?;
    blocking::run(move || {
        let event_type = request.event_type.to_string();
        account_data.set(requester.user, None, &event_type, request.data.json())
    })
    .await?;
    Ok(RumaResponse(set_global_account_data::v3::Response::new()))
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use serde_json::json;

    use crate::api::client::fixture::TestServer;

    fn path(user: &str, event_type: &str) -> String {
        format!("/_matrix/client/v3/user/@{user}:example.org/account_data/{event_type}")
    }

    #[tokio::test]
    async fn what_is_set_is_got() {
        let server = TestServer::new();
        let alice = server.user("alice");
        let token = Some(alice.access_token.as_str());
        for event_type in ["m.direct", "org.example.a", "m.secret_storage.key.abc"] {
            let (status, answer) = server.get(&path("alice", event_type), token).await;
            assert_eq!((status, &answer["errcode"]), (StatusCode::NOT_FOUND, &json!("M_NOT_FOUND")));
            let content = json!({ "type": event_type, "n": 1.5 });
            let (status, answer) = server.put(&path("alice", event_type), token, content.clone()).await;
            assert_eq!((status, answer), (StatusCode::OK, json!({})));
            assert_eq!(server.get(&path("alice", event_type), token).await, (StatusCode::OK, content));
        }
    }

    #[tokio::test]
    async fn what_does_not_fit_is_refused() {
        let server = TestServer::new();
        let (alice, _bob) = (server.user("alice"), server.user("bob"));
        let token = Some(alice.access_token.as_str());
        for (user, event_type, body, status, errcode) in [
            ("bob", "org.a", "{}", 403, "M_FORBIDDEN"),
            ("alice", "m.fully_read", "{}", 405, "M_BAD_JSON"),
            ("alice", "m.push_rules", "{}", 405, "M_BAD_JSON"),
            ("alice", "org.a", "[]", 400, "M_BAD_JSON"),
            ("alice", "org.a", "", 400, "M_NOT_JSON"),
            ("alice", "org.a", "{", 400, "M_NOT_JSON"),
        ] {
            let (got, answer) = server.send_raw(Method::PUT, &path(user, event_type), token, body).await;
            assert_eq!(
                (got.as_u16(), answer["errcode"].as_str()),
                (status, Some(errcode)),
                "{event_type}{body}"
            );
        }
        assert_eq!(server.get(&path("bob", "org.a"), token).await.0, StatusCode::FORBIDDEN);
    }
}
