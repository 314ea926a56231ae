//! `POST /account/deactivate`: closing an account for good.

use axum::extract::State;
use ruma::api::client::account::{
    ThirdPartyIdRemovalStatus,
    deactivate::v3::{Request, Response},
};

use crate::{
    api::{
        ApiError, ApiResult, Requester, RumaResponse, blocking,
        rate_limits::LoginAttempts,
        uiaa::{WithAuth, authorize_by_password},
    },
    rooms::Memberships,
    users::{Accounts, Operation, Uiaa},
};

/// Closes the requester's account. No third-party identifiers are bound here, so none is left bound.
pub async fn deactivate(
    State(accounts): State<Accounts>,
    State(uiaa): State<Uiaa>,
    attempts: LoginAttempts,
    State(memberships): State<Memberships>,
    requester: Requester,
    WithAuth(request): WithAuth<Request>,
) -> ApiResult<Response> {
    blocking::run(move || {
        let operation = Operation::of_user("deactivate", requester.user_id.clone(), "");
        authorize_by_password(&uiaa, &attempts, &operation, request.auth.as_ref())?;
        accounts.deactivate(&requester.user_id, request.erase)?;
        memberships.leave_all(&requester.user_id)?;
        tracing::info!(user_id = %requester.user_id, "an account was deactivated");
        Ok::<_, ApiError>(RumaResponse(Response::new(ThirdPartyIdRemovalStatus::Success)))
    })
    .await
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use crate::api::client::fixture::{TestServer, password_auth};

    const PATH: &str = "/_matrix/client/v3/account/deactivate";

    #[tokio::test]
    async fn a_deactivated_account_is_closed() {
        let server = TestServer::new();
        let alice = server.user("alice");
        let token = Some(alice.access_token.as_str());
        let (status, answer) = server.post(PATH, token, json!({})).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        let body = json!({ "auth": password_auth("alice", "correct horse", &answer) });
        let (status, answer) = server.post(PATH, token, body).await;
        assert_eq!((status, answer), (StatusCode::OK, json!({ "id_server_unbind_result": "success" })));

        let (status, answer) = server.get("/_matrix/client/v3/account/whoami", token).await;
        assert_eq!((status, &answer["errcode"]), (StatusCode::UNAUTHORIZED, &json!("M_UNKNOWN_TOKEN")));
        assert!(server.fixture.accounts.check_password("alice", "correct horse").is_err());
    }
}
