//! `POST /delete_devices`: logging several devices out.

use axum::extract::State;
use ruma::api::client::device::delete_devices::v3::{Request, Response};

use crate::{
    api::{
        ApiError, ApiResult, Requester, RumaResponse, blocking,
        rate_limits::LoginAttempts,
        uiaa::{WithAuth, authorize_by_password},
    },
    users::{Operation, Sessions, Uiaa, limits::DEVICES_DELETED_AT_ONCE_MAX},
};

/// Deletes the devices and ends their sessions; they need not exist.
pub async fn delete_many(
    State(sessions): State<Sessions>,
    State(uiaa): State<Uiaa>,
    attempts: LoginAttempts,
    requester: Requester,
    WithAuth(mut request): WithAuth<Request>,
) -> ApiResult<Response> {
    if request.devices.len() > DEVICES_DELETED_AT_ONCE_MAX {
        let message = format!("At most {DEVICES_DELETED_AT_ONCE_MAX} devices can be deleted at once");
        return Err(ApiError::invalid_param(message));
    }
    blocking::run(move || {
        // In any order it is the same request.
        request.devices.sort();
        let subject = request.devices.iter().map(|id| id.as_str()).collect::<Vec<_>>().join("\0");
        let operation = Operation::of_user("delete_devices", requester.user_id.clone(), subject);
        // Application services prove with their token that the user is theirs, and have no password to give.
        if requester.appservice.is_none() {
            authorize_by_password(&uiaa, &attempts, &operation, request.auth.as_ref())?;
        }
        sessions.end_many(requester.user, &request.devices)?;
        Ok::<_, ApiError>(RumaResponse(Response::new()))
    })
    .await
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use crate::api::client::fixture::{TestServer, password_auth};

    const PATH: &str = "/_matrix/client/v3/delete_devices";

    #[tokio::test]
    async fn several_devices_are_deleted_at_once() {
        let server = TestServer::new();
        let alice = server.user("alice");
        let token = Some(alice.access_token.as_str());
        let start = || server.second_device(&alice);
        let (one, two, three) = (start(), start(), start());
        let request = json!({ "devices": [one.device_id, two.device_id, "UNKNOWN"] });
        let (status, answer) = server.post(PATH, token, request).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        let auth = password_auth("alice", "correct horse", &answer);
        let more = json!({ "devices": [one.device_id, three.device_id], "auth": auth });
        assert_eq!(server.post(PATH, token, more).await.0, StatusCode::UNAUTHORIZED, "others than before");
        let request = json!({ "devices": ["UNKNOWN", two.device_id, one.device_id], "auth": auth });
        assert_eq!(server.post(PATH, token, request).await, (StatusCode::OK, json!({})));
        assert_eq!(server.fixture.devices.list(alice.user).unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_list_is_needed_and_bounded() {
        let server = TestServer::new();
        let alice = server.user("alice");
        let token = Some(alice.access_token.as_str());
        let (status, answer) = server.post(PATH, token, json!({})).await;
        assert_eq!((status, &answer["errcode"]), (StatusCode::BAD_REQUEST, &json!("M_MISSING_PARAM")));
        let many: Vec<_> = (0..=1_000).map(|n| n.to_string()).collect();
        let (status, answer) = server.post(PATH, token, json!({ "devices": many })).await;
        assert_eq!((status, &answer["errcode"]), (StatusCode::BAD_REQUEST, &json!("M_INVALID_PARAM")));
    }
}
