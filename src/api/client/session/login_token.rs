//! `POST /login/get_token`: a token with which another client can log in as the same user, once.

use axum::extract::State;
use ruma::api::client::session::get_login_token::v1::{Request, Response};

use crate::{
    api::{
        ApiError, ApiResult, Requester, RumaResponse, blocking,
        rate_limits::LoginAttempts,
        uiaa::{WithAuth, authorize_by_password},
    },
    users::{LoginTokens, Operation, Uiaa},
};

/// Issues a token; the password is asked for each time.
pub async fn login_token(
    State(tokens): State<LoginTokens>,
    State(uiaa): State<Uiaa>,
    attempts: LoginAttempts,
    requester: Requester,
    WithAuth(request): WithAuth<Request>,
) -> ApiResult<Response> {
    blocking::run(move || {
        let operation = Operation::of_user("login_token", requester.user_id.clone(), "");
        authorize_by_password(&uiaa, &attempts, &operation, request.auth.as_ref())?;
        let token = tokens.issue(&requester.user_id)?;
        Ok::<_, ApiError>(RumaResponse(Response::new(token.expires_in, token.token)))
    })
    .await
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use crate::api::client::fixture::{TestServer, password_auth};

    const PATH: &str = "/_matrix/client/v1/login/get_token";

    #[tokio::test]
    async fn a_token_logs_another_client_in_once() {
        let server = TestServer::new();
        let alice = server.user("alice");
        let token = Some(alice.access_token.as_str());
        let (status, answer) = server.post(PATH, token, json!({})).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        let auth = password_auth("alice", "correct horse", &answer);
        let (status, answer) = server.post(PATH, token, json!({ "auth": auth })).await;
        assert_eq!((status, &answer["expires_in_ms"]), (StatusCode::OK, &json!(120_000)));
        let (status, _) = server.post(PATH, token, json!({ "auth": auth })).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "asked for each time");

        let login = json!({ "type": "m.login.token", "token": answer["login_token"] });
        let path = "/_matrix/client/v3/login";
        let (status, session) = server.post(path, None, login.clone()).await;
        assert_eq!((status, &session["user_id"]), (StatusCode::OK, &json!("@alice:example.org")));
        assert_eq!(server.post(path, None, login).await.0, StatusCode::FORBIDDEN);
    }
}
