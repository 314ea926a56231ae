//! `POST /register`: a new account.

use axum::extract::State;
use http::StatusCode;
use ruma::{
    OwnedUserId,
    api::{
        client::account::register::{
            LoginType, RegistrationKind,
            v3::{Request, Response},
        },
        error::ErrorKind,
    },
};

use crate::{
    api::{
        ApiError, ApiResult, AppserviceToken, MaybeAppserviceToken, RumaResponse, blocking,
        uiaa::{WithAuth, authorize},
    },
    users::{Accounts, Appservice, NewAccount, NewDevice, Operation, StartedSession, Uiaa},
};

/// Registers an account, and logs the user in unless told not to.
pub async fn register(
    State(accounts): State<Accounts>,
    State(uiaa): State<Uiaa>,
    MaybeAppserviceToken(appservice): MaybeAppserviceToken,
    WithAuth(request): WithAuth<Request>,
) -> ApiResult<Response> {
    if request.kind == RegistrationKind::Guest {
        let message = "This server has no guests";
        return Err(ApiError::new(StatusCode::FORBIDDEN, ErrorKind::GuestAccessForbidden, message));
    }
    if request.login_type == Some(LoginType::ApplicationService) {
        let AppserviceToken(appservice) = appservice?;
        let response = blocking::run(move || run_for(&accounts, &appservice, request)).await?;
        return Ok(RumaResponse(response));
    }
    let response = blocking::run(move || run(&accounts, &uiaa, request)).await?;
    Ok(RumaResponse(response))
}

fn run(accounts: &Accounts, uiaa: &Uiaa, request: Request) -> Result<Response, ApiError> {
    let flows = uiaa.registration_flows()?;
    let user_id = match &request.username {
        Some(username) => accounts.free_user_id(username)?,
        None => accounts.random_user_id(),
    };
    if let Some(password) = &request.password {
        accounts.passwords().check_rules(password)?;
    }
    authorize(uiaa, &Operation::of_anybody("register"), flows, request.auth.as_ref())?;

    if request.password.is_none() {
        return Err(ApiError::missing_param("A password is needed"));
    }
    let account =
        NewAccount { device: device(&request), password: request.password, ..NewAccount::default() };
    let session = accounts.register(&user_id, account)?;
    tracing::info!(%user_id, "an account was registered");
    Ok(response(user_id, session))
}

/// An application service registers one of its users, without stages and without a password.
fn run_for(accounts: &Accounts, appservice: &Appservice, request: Request) -> Result<Response, ApiError> {
    let device = device(&request);
    let Some(username) = request.username else {
        return Err(ApiError::missing_param("A `username` is needed"));
    };
    let account = NewAccount { device, ..NewAccount::default() };
    let (user_id, session) = accounts.register_for(appservice, &username, account)?;
    Ok(response(user_id, session))
}

fn device(request: &Request) -> Option<NewDevice> {
    (!request.inhibit_login).then(|| NewDevice {
        device_id: request.device_id.clone(),
        display_name: request.initial_device_display_name.clone(),
        is_refreshable: request.refresh_token,
    })
}

fn response(user_id: OwnedUserId, session: Option<StartedSession>) -> Response {
    let mut response = Response::new(user_id);
    if let Some(session) = session {
        response.access_token = Some(session.access_token);
        response.device_id = Some(session.device_id);
        if let Some(refresh) = session.refresh {
            response.refresh_token = Some(refresh.refresh_token);
            response.expires_in = Some(refresh.expires_in);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::{Value, json};

    use crate::{api::client::fixture::TestServer, users::RegistrationPolicy};

    const PATH: &str = "/_matrix/client/v3/register";

    fn body(username: &str) -> Value {
        json!({ "username": username, "password": "correct horse" })
    }

    fn with_auth(mut body: Value, auth: Value) -> Value {
        body["auth"] = auth;
        body
    }

    fn token(token: &str) -> Value {
        json!({ "type": "m.login.registration_token", "token": token })
    }

    #[tokio::test]
    async fn registration_is_closed_by_default() {
        let server = TestServer::new();
        let (status, answer) = server.post(PATH, None, body("alice")).await;
        assert_eq!((status, answer["errcode"].as_str()), (StatusCode::FORBIDDEN, Some("M_FORBIDDEN")));
    }

    #[tokio::test]
    async fn open_registration_asks_for_a_dummy_stage_and_logs_in() {
        let server = TestServer::with_registration(RegistrationPolicy::Open);
        let (status, answer) = server.post(PATH, None, json!({})).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer["flows"], json!([{ "stages": ["m.login.dummy"] }]));
        assert!(answer.get("errcode").is_none());

        let auth = json!({ "type": "m.login.dummy", "session": answer["session"] });
        let mut request = with_auth(body("Alice"), auth);
        request["device_id"] = json!("PHONE");
        let (status, answer) = server.post(PATH, None, request).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert_eq!(
            (&answer["user_id"], &answer["device_id"]),
            (&json!("@alice:example.org"), &json!("PHONE"))
        );
        let token = answer["access_token"].as_str();
        let (_, whoami) = server.get("/_matrix/client/v3/account/whoami", token).await;
        assert_eq!(whoami, json!({ "user_id": "@alice:example.org", "device_id": "PHONE" }));
    }

    #[tokio::test]
    async fn a_token_is_asked_for_and_checked() {
        let server = TestServer::with_registration(RegistrationPolicy::Token(Some("secret".to_owned())));
        let (status, answer) = server.post(PATH, None, with_auth(body("alice"), token("guess"))).await;
        assert_eq!((status, &answer["errcode"]), (StatusCode::UNAUTHORIZED, &json!("M_FORBIDDEN")));
        let dummy = json!({ "type": "m.login.dummy", "session": answer["session"] });
        let (status, _) = server.post(PATH, None, with_auth(body("alice"), dummy.clone())).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        let mut right = token("secret");
        right["session"] = answer["session"].clone();
        let (status, answer) = server.post(PATH, None, with_auth(body("alice"), right)).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer["completed"], json!(["m.login.registration_token"]));
        assert!(answer.get("errcode").is_none());
        let (status, _) = server.post(PATH, None, with_auth(body("alice"), dummy)).await;
        assert_eq!(status, StatusCode::OK);
    }

    #[tokio::test]
    async fn login_can_be_inhibited() {
        let server = TestServer::with_registration(RegistrationPolicy::Open);
        let mut request = with_auth(body("alice"), json!({ "type": "m.login.dummy" }));
        request["inhibit_login"] = json!(true);
        let (status, answer) = server.post(PATH, None, request).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(answer["user_id"], "@alice:example.org");
        assert!(answer.get("access_token").is_none());
    }

    #[tokio::test]
    async fn names_and_passwords_are_checked_before_authentication() {
        let server = TestServer::with_registration(RegistrationPolicy::Open);
        server.user("alice");
        let short = json!({ "username": "bob", "password": "short" });
        for (request, errcode) in [
            (body("alice"), "M_USER_IN_USE"),
            (body("b ob"), "M_INVALID_USERNAME"),
            (short, "M_WEAK_PASSWORD"),
        ] {
            let (status, answer) = server.post(PATH, None, request).await;
            assert_eq!((status, answer["errcode"].as_str()), (StatusCode::BAD_REQUEST, Some(errcode)));
        }
    }

    #[tokio::test]
    async fn a_missing_password_is_told_after_authentication() {
        let server = TestServer::with_registration(RegistrationPolicy::Open);
        let request = json!({ "username": "bob", "auth": { "type": "m.login.dummy" } });
        let (status, answer) = server.post(PATH, None, request).await;
        assert_eq!((status, &answer["errcode"]), (StatusCode::BAD_REQUEST, &json!("M_MISSING_PARAM")));
    }

    #[tokio::test]
    async fn guests_and_nonsense_are_refused() {
        let server = TestServer::with_registration(RegistrationPolicy::Open);
        let (status, answer) = server.post(&format!("{PATH}?kind=guest"), None, json!({})).await;
        assert_eq!((status, &answer["errcode"]), (StatusCode::FORBIDDEN, &json!("M_GUEST_ACCESS_FORBIDDEN")));
        let (status, answer) = server.post(PATH, None, json!({ "username": 1 })).await;
        assert_eq!((status, &answer["errcode"]), (StatusCode::BAD_REQUEST, &json!("M_BAD_JSON")));
    }
}
