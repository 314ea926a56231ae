//! `POST /account/password`: a new password.

use axum::extract::State;
use ruma::api::client::account::change_password::v3::{Request, Response};

use crate::{
    api::{
        ApiError, ApiResult, Requester, RumaResponse, blocking,
        rate_limits::LoginAttempts,
        uiaa::{WithAuth, authorize_by_password},
    },
    users::{Accounts, Operation, Uiaa},
};

/// Sets a new password, and ends all other sessions unless told not to.
pub async fn change_password(
    State(accounts): State<Accounts>,
    State(uiaa): State<Uiaa>,
    attempts: LoginAttempts,
    requester: Requester,
    WithAuth(request): WithAuth<Request>,
) -> ApiResult<Response> {
    blocking::run(move || {
        accounts.passwords().check_rules(&request.new_password)?;
        let operation = Operation::of_user("change_password", requester.user_id.clone(), "");
        authorize_by_password(&uiaa, &attempts, &operation, request.auth.as_ref())?;
        let kept = request.logout_devices.then_some(&*requester.device_id);
        accounts.change_password(&requester.user_id, &request.new_password, kept)?;
        Ok::<_, ApiError>(RumaResponse(Response::new()))
    })
    .await
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::{Value, json};

    use crate::api::client::fixture::{TestServer, password_auth};

    const PATH: &str = "/_matrix/client/v3/account/password";
    const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

    fn request(auth: Value) -> Value {
        json!({ "new_password": "battery staple", "auth": auth })
    }

    #[tokio::test]
    async fn the_old_password_is_needed() {
        let server = TestServer::new();
        let alice = server.user("alice");
        let token = Some(alice.access_token.as_str());
        let (status, answer) = server.post(PATH, token, json!({ "new_password": "battery staple" })).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer["flows"], json!([{ "stages": ["m.login.password"] }]));
        let (status, answer) =
            server.post(PATH, token, request(password_auth("alice", "wrong one", &answer))).await;
        assert_eq!((status, &answer["errcode"]), (StatusCode::UNAUTHORIZED, &json!("M_FORBIDDEN")));
        let auth = password_auth("alice", "correct horse", &answer);
        let (status, answer) = server.post(PATH, token, request(auth)).await;
        assert_eq!((status, answer), (StatusCode::OK, json!({})));
        assert!(server.fixture.accounts.check_password("alice", "battery staple").is_ok());
    }

    #[tokio::test]
    async fn other_devices_are_logged_out_unless_told_not_to() {
        for (logout_devices, expected) in [(true, StatusCode::UNAUTHORIZED), (false, StatusCode::OK)] {
            let server = TestServer::new();
            let alice = server.user("alice");
            let other = server.second_device(&alice);
            let mut body = request(password_auth("alice", "correct horse", &json!({})));
            body["logout_devices"] = json!(logout_devices);
            let (status, _) = server.post(PATH, Some(&alice.access_token), body).await;
            assert_eq!(status, StatusCode::OK);
            assert_eq!(server.get(WHOAMI, Some(&other.access_token)).await.0, expected);
            assert_eq!(server.get(WHOAMI, Some(&alice.access_token)).await.0, StatusCode::OK);
        }
    }

    #[tokio::test]
    async fn weak_passwords_and_strangers_are_refused() {
        let server = TestServer::new();
        let alice = server.user("alice");
        let (status, answer) =
            server.post(PATH, Some(&alice.access_token), json!({ "new_password": "short" })).await;
        assert_eq!((status, &answer["errcode"]), (StatusCode::BAD_REQUEST, &json!("M_WEAK_PASSWORD")));
        let (status, _) = server.post(PATH, None, request(json!(null))).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
}
