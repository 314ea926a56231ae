//! `GET /register/m.login.registration_token/validity`: whether a token would do for registering.

use axum::extract::State;
use ruma::api::client::account::check_registration_token_validity::v1::{Request, Response};

use crate::{
    api::{ApiResult, Ruma, RumaResponse, blocking},
    users::Uiaa,
};

/// Tells whether the token is valid; 403 where nobody may register.
pub async fn check(State(uiaa): State<Uiaa>, Ruma(request): Ruma<Request>) -> ApiResult<Response> {
    uiaa.registration_flows()?;
    let is_valid = blocking::run(move || uiaa.accepts_token(&request.token)).await?;
    Ok(RumaResponse(Response::new(is_valid)))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use crate::{api::client::fixture::TestServer, users::RegistrationPolicy};

    const PATH: &str = "/_matrix/client/v1/register/m.login.registration_token/validity";

    #[tokio::test]
    async fn tokens_are_valid_or_not() {
        let server = TestServer::with_registration(RegistrationPolicy::Token(Some("secret".to_owned())));
        for (token, valid) in [("secret", true), ("guess", false)] {
            let (status, answer) = server.get(&format!("{PATH}?token={token}"), None).await;
            assert_eq!((status, answer), (StatusCode::OK, json!({ "valid": valid })));
        }
        let (status, answer) = server.get(PATH, None).await;
        assert_eq!((status, &answer["errcode"]), (StatusCode::BAD_REQUEST, &json!("M_MISSING_PARAM")));
    }

    #[tokio::test]
    async fn where_registration_is_closed_no_token_is_looked_at() {
        let (status, answer) = TestServer::new().get(&format!("{PATH}?token=secret"), None).await;
        assert_eq!((status, &answer["errcode"]), (StatusCode::FORBIDDEN, &json!("M_FORBIDDEN")));
    }
}
