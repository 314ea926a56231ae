//! `POST /logout` and `POST /logout/all`: ending this session, or all of the user's.

use axum::extract::State;
use ruma::api::client::session::{logout, logout_all};

use crate::{
    api::{ApiResult, Requester, Ruma, RumaResponse, blocking},
    users::{Sessions, UserError},
};

/// Ends the session and deletes its device.
pub async fn logout(
    State(sessions): State<Sessions>,
    requester: Requester,
    _request: Ruma<logout::v3::Request>,
) -> ApiResult<logout::v3::Response> {
    blocking::run(move || {
        sessions.end(requester.user, &requester.device_id)?;
        Ok::<_, UserError>(RumaResponse(logout::v3::Response::new()))
    })
    .await
}

/// Ends all sessions of the user and deletes the devices.
pub async fn logout_all(
    State(sessions): State<Sessions>,
    requester: Requester,
    _request: Ruma<logout_all::v3::Request>,
) -> ApiResult<logout_all::v3::Response> {
    blocking::run(move || {
        sessions.end_all(requester.user)?;
        Ok::<_, UserError>(RumaResponse(logout_all::v3::Response::new()))
    })
    .await
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use serde_json::json;

    use crate::api::client::fixture::TestServer;

    const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

    #[tokio::test]
    async fn logging_out_ends_one_session() {
        let server = TestServer::new();
        let alice = server.user("alice");
        let other = server.second_device(&alice);
        let token = Some(alice.access_token.as_str());
        // Clients send no body at all, or an empty object.
        let (status, answer) = server.send_raw(Method::POST, "/_matrix/client/v3/logout", token, "").await;
        assert_eq!((status, answer), (StatusCode::OK, json!({})));
        let (status, answer) = server.get(WHOAMI, token).await;
        assert_eq!((status, &answer["errcode"]), (StatusCode::UNAUTHORIZED, &json!("M_UNKNOWN_TOKEN")));
        assert_eq!(answer.get("soft_logout"), None);
        assert_eq!(server.get(WHOAMI, Some(&other.access_token)).await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn logging_out_everywhere_ends_all_of_ones_own() {
        let server = TestServer::new();
        let (alice, bob) = (server.user("alice"), server.user("bob"));
        let other = server.second_device(&alice);
        let path = "/_matrix/client/v3/logout/all";
        let (status, _) = server.post(path, Some(&alice.access_token), json!({})).await;
        assert_eq!(status, StatusCode::OK);
        for token in [&alice.access_token, &other.access_token] {
            assert_eq!(server.get(WHOAMI, Some(token)).await.0, StatusCode::UNAUTHORIZED);
        }
        assert_eq!(server.get(WHOAMI, Some(&bob.access_token)).await.0, StatusCode::OK);
    }
}
