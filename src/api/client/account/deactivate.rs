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
        // In this order: should the store fail in between, the user can still ask again.
        memberships.leave_all(&requester.user_id)?;
        accounts.deactivate(&requester.user_id, request.erase)?;
        tracing::info!(user_id = %requester.user_id, "an account was deactivated");
        Ok::<_, ApiError>(RumaResponse(Response::new(ThirdPartyIdRemovalStatus::Success)))
    })
    .await
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use crate::{
        api::client::fixture::{TestServer, password_auth},
        rooms::testing::RoomsFixture,
        storage::{StorageError, Transaction, tables::EVENT_JSON},
    };

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

    #[tokio::test]
    async fn a_damaged_room_keeps_nobody_in_the_others_or_on_the_server() {
        let server = TestServer::new();
        let alice = server.user("alice");
        let rooms = RoomsFixture::over(server.fixture.storage.clone());
        let [damaged, other] = [(); 2].map(|()| rooms.public_room(&alice.user_id));
        let create = rooms.index.record(rooms.short(&damaged)).unwrap().unwrap().create_event;
        let damage = |rows: &mut Transaction<'_>| -> Result<(), StorageError> {
            rows.delete(&EVENT_JSON, &create);
            Ok(())
        };
        rooms.storage.write(damage).unwrap();

        let token = Some(alice.access_token.as_str());
        let (_, answer) = server.post(PATH, token, json!({})).await;
        let body = json!({ "auth": password_auth("alice", "correct horse", &answer) });
        assert_eq!(server.post(PATH, token, body).await.0, StatusCode::OK);
        assert!(server.fixture.accounts.check_password("alice", "correct horse").is_err());
        assert!(!rooms.index.is_joined(&alice.user_id, rooms.short(&other)).unwrap());
    }
}
