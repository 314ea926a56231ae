//! `POST /refresh`: a new access token in place of one that expires.

use axum::extract::State;
use ruma::api::client::session::refresh_token::v3::{Request, Response};

use crate::{
    api::{ApiResult, Ruma, RumaResponse, blocking},
    users::{Sessions, UserError},
};

/// The handler.
pub async fn refresh(State(sessions): State<Sessions>, Ruma(request): Ruma<Request>) -> ApiResult<Response> {
    blocking::run(move || {
        let new = sessions.refresh(&request.refresh_token)?;
        let mut response = Response::new(new.access_token);
        response.refresh_token = Some(new.refresh.refresh_token);
        response.expires_in_ms = Some(new.refresh.expires_in);
        Ok::<_, UserError>(RumaResponse(response))
    })
    .await
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::{Value, json};

    use crate::{
        api::client::fixture::{TestServer, password_auth},
        users::limits::ACCESS_TOKEN_LIFETIME,
    };

    const PATH: &str = "/_matrix/client/v3/refresh";
    const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

    async fn log_in(server: &TestServer) -> Value {
        server.user("alice");
        let mut request = password_auth("alice", "correct horse", &Value::Null);
        request["refresh_token"] = json!(true);
        let (status, answer) = server.post("/_matrix/client/v3/login", None, request).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    #[tokio::test]
    async fn an_expired_token_is_refreshed() {
        let server = TestServer::new();
        let login = log_in(&server).await;
        assert_eq!(login["expires_in_ms"], json!(3_600_000));
        let access = login["access_token"].as_str();
        assert_eq!(server.get(WHOAMI, access).await.0, StatusCode::OK);
        server.fixture.time.advance_ms(u64::try_from(ACCESS_TOKEN_LIFETIME.as_millis()).unwrap());
        let (status, answer) = server.get(WHOAMI, access).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert_eq!((&answer["errcode"], &answer["soft_logout"]), (&json!("M_UNKNOWN_TOKEN"), &json!(true)));

        let request = json!({ "refresh_token": login["refresh_token"] });
        let (status, answer) = server.post(PATH, None, request).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert_eq!(answer["expires_in_ms"], json!(3_600_000));
        let (_, whoami) = server.get(WHOAMI, answer["access_token"].as_str()).await;
        assert_eq!(whoami["device_id"], login["device_id"], "it is the same device");
        assert_eq!(server.get(WHOAMI, access).await.1["soft_logout"], Value::Null, "it is gone altogether");
    }

    #[tokio::test]
    async fn what_is_no_refresh_token_is_refused() {
        let server = TestServer::new();
        let login = log_in(&server).await;
        for (request, status, errcode) in [
            (json!({ "refresh_token": "guess" }), 401, "M_UNKNOWN_TOKEN"),
            (json!({ "refresh_token": login["access_token"] }), 401, "M_UNKNOWN_TOKEN"),
            (json!({ "refresh_token": 1 }), 400, "M_BAD_JSON"),
            (json!({}), 400, "M_MISSING_PARAM"),
        ] {
            let (got, answer) = server.post(PATH, None, request.clone()).await;
            assert_eq!((got.as_u16(), answer["errcode"].as_str()), (status, Some(errcode)), "{request}");
        }
    }

    #[tokio::test]
    async fn after_a_log_out_there_is_nothing_to_refresh() {
        let server = TestServer::new();
        let login = log_in(&server).await;
        let logout = "/_matrix/client/v3/logout";
        server.post(logout, login["access_token"].as_str(), json!({})).await;
        let request = json!({ "refresh_token": login["refresh_token"] });
        assert_eq!(server.post(PATH, None, request).await.0, StatusCode::UNAUTHORIZED);
    }
}
