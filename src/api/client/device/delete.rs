//! `DELETE /devices/{deviceId}`: logging a device out.

use axum::extract::State;
use ruma::api::client::device::delete_device::v3::{Request, Response};

use crate::{
    api::{
        ApiError, ApiResult, Requester, RumaResponse, blocking,
        rate_limits::LoginAttempts,
        uiaa::{WithAuth, authorize_by_password},
    },
    users::{Operation, Sessions, Uiaa},
};

/// Deletes the device and ends its session; it need not exist.
pub async fn delete(
    State(sessions): State<Sessions>,
    State(uiaa): State<Uiaa>,
    attempts: LoginAttempts,
    requester: Requester,
    WithAuth(request): WithAuth<Request>,
) -> ApiResult<Response> {
    blocking::run(move || {
        let operation =
            Operation::of_user("delete_device", requester.user_id.clone(), request.device_id.as_str());
        // Application services prove with their token that the user is theirs, and have no password to give.
        if requester.appservice.is_none() {
            authorize_by_password(&uiaa, &attempts, &operation, request.auth.as_ref())?;
        }
        sessions.end(requester.user, &request.device_id)?;
        Ok::<_, ApiError>(RumaResponse(Response::new()))
    })
    .await
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use serde_json::json;

    use crate::api::client::fixture::{TestServer, password_auth};

    #[tokio::test]
    async fn a_device_is_deleted_with_the_password_and_only_that_one() {
        let server = TestServer::new();
        let alice = server.user("alice");
        let other = server.second_device(&alice);
        let token = Some(alice.access_token.as_str());
        let path = format!("/_matrix/client/v3/devices/{}", other.device_id);
        let (status, answer) = server.send_raw(Method::DELETE, &path, token, "").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);

        let body = json!({ "auth": password_auth("alice", "correct horse", &answer) });
        let own = format!("/_matrix/client/v3/devices/{}", alice.device_id);
        let (status, _) = server.send(Method::DELETE, &own, token, body.clone()).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "the session is for the other device");
        let (status, answer) = server.send(Method::DELETE, &path, token, body).await;
        assert_eq!((status, answer), (StatusCode::OK, json!({})));
        let whoami = "/_matrix/client/v3/account/whoami";
        assert_eq!(server.get(whoami, Some(&other.access_token)).await.0, StatusCode::UNAUTHORIZED);
        assert_eq!(server.get(whoami, token).await.0, StatusCode::OK);
    }
}
