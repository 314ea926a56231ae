//! `GET /login`: how one can log in.

use axum::extract::State;
use ruma::api::client::session::get_login_types::v3::{
    ApplicationServiceLoginType, LoginType, PasswordLoginType, Request, Response, TokenLoginType,
};

use crate::{
    api::{ApiResult, Ruma, RumaResponse},
    users::LoginSecret,
};

/// Lists the flows.
pub async fn login_flows(State(secret): State<LoginSecret>, _request: Ruma<Request>) -> ApiResult<Response> {
    let mut token = TokenLoginType::new();
    token.get_login_token = true;
    let mut flows = vec![
        LoginType::Password(PasswordLoginType::new()),
        LoginType::Token(token),
        LoginType::ApplicationService(ApplicationServiceLoginType::new()),
    ];
    if secret.is_set() {
        flows.extend(LoginType::new(LoginSecret::LOGIN_TYPE, serde_json::Map::new()));
    }
    Ok(RumaResponse(Response::new(flows)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::api::client::fixture::TestServer;

    #[tokio::test]
    async fn passwords_and_tokens_log_in() {
        let (_, answer) = TestServer::new().get("/_matrix/client/v3/login", None).await;
        let token = json!({ "type": "m.login.token", "get_login_token": true });
        let appservice = json!({ "type": "m.login.application_service" });
        assert_eq!(answer, json!({ "flows": [{ "type": "m.login.password" }, token, appservice] }));
    }
}
