//! `GET /login`: how one can log in.

use ruma::api::client::session::get_login_types::v3::{
    ApplicationServiceLoginType, LoginType, PasswordLoginType, Request, Response, TokenLoginType,
};

use crate::api::{ApiResult, Ruma, RumaResponse};

/// Lists the flows.
pub async fn login_flows(_request: Ruma<Request>) -> ApiResult<Response> {
    let mut token = TokenLoginType::new();
    token.get_login_token = true;
    let flows = vec![
        LoginType::Password(PasswordLoginType::new()),
        LoginType::Token(token),
        LoginType::ApplicationService(ApplicationServiceLoginType::new()),
    ];
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
