//! `GET /register/available`: whether a name is free.

use axum::extract::State;
use ruma::api::client::account::get_username_availability::v3::{Request, Response};

use crate::{
    api::{ApiResult, Ruma, RumaResponse, blocking},
    users::{Accounts, Uiaa, UserError},
};

/// Tells whether a name is free. Where nobody may register, nobody needs to know who has an account: 403.
pub async fn check(
    State(accounts): State<Accounts>,
    State(uiaa): State<Uiaa>,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    blocking::run(move || {
        uiaa.registration_flows()?;
        accounts.free_user_id(&request.username)?;
        Ok::<_, UserError>(RumaResponse(Response::new(true)))
    })
    .await
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use crate::{api::client::fixture::TestServer, users::RegistrationPolicy};

    const PATH: &str = "/_matrix/client/v3/register/available";

    #[tokio::test]
    async fn names_are_free_taken_or_impossible() {
        let server = TestServer::with_registration(RegistrationPolicy::Open);
        server.user("alice");
        let (status, answer) = server.get(&format!("{PATH}?username=bob"), None).await;
        assert_eq!((status, answer), (StatusCode::OK, json!({ "available": true })));
        for (name, errcode) in [("alice", "M_USER_IN_USE"), ("%C3%A4", "M_INVALID_USERNAME")] {
            let (status, answer) = server.get(&format!("{PATH}?username={name}"), None).await;
            assert_eq!((status, answer["errcode"].as_str()), (StatusCode::BAD_REQUEST, Some(errcode)));
        }
    }

    #[tokio::test]
    async fn a_closed_server_does_not_tell() {
        let (status, _) = TestServer::new().get(&format!("{PATH}?username=bob"), None).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
    }
}
