//! `GET` and `POST /_synapse/admin/v1/register`: a new account for whoever knows the shared secret.

use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api::{
        ApiError, blocking,
        json::{JsonBody, JsonResponse},
    },
    users::{Accounts, NewAccount, NewDevice, Profiles, SharedSecret, SignedRegistration},
};

/// The body of the request.
#[derive(Deserialize)]
pub struct Body {
    nonce: String,
    username: String,
    password: String,
    #[serde(default)]
    admin: bool,
    user_type: Option<String>,
    displayname: Option<String>,
    #[serde(default)]
    inhibit_login: bool,
    mac: String,
}

/// Answers a nonce to be signed.
pub async fn nonce(
    State(shared_secret): State<Option<SharedSecret>>,
) -> Result<JsonResponse<Value>, ApiError> {
    let shared_secret = shared_secret.ok_or_else(ApiError::unrecognized)?;
    Ok(JsonResponse(json!({ "nonce": shared_secret.nonce()? })))
}

/// Registers an account and logs it in.
pub async fn register(
    State(shared_secret): State<Option<SharedSecret>>,
    State(accounts): State<Accounts>,
    State(profiles): State<Profiles>,
    JsonBody(body): JsonBody<Body>,
) -> Result<JsonResponse<Value>, ApiError> {
    let shared_secret = shared_secret.ok_or_else(ApiError::unrecognized)?;
    blocking::run(move || run(&shared_secret, &accounts, &profiles, body)).await
}

fn run(
    shared_secret: &SharedSecret,
    accounts: &Accounts,
    profiles: &Profiles,
    body: Body,
) -> Result<JsonResponse<Value>, ApiError> {
    shared_secret.check(&SignedRegistration {
        nonce: &body.nonce,
        username: &body.username,
        password: &body.password,
        is_admin: body.admin,
        user_type: body.user_type.as_deref(),
        mac: &body.mac,
    })?;
    let user_id = accounts.free_user_id(&body.username)?;
    let account = NewAccount {
        is_admin: body.admin,
        password: Some(body.password),
        device: (!body.inhibit_login).then(NewDevice::default),
        appservice: None,
    };
    let session = accounts.register(&user_id, account)?;
    tracing::info!(%user_id, is_admin = body.admin, "an account was registered with the shared secret");
    if let (Some(name), Some(user)) = (body.displayname, accounts.local_user(&user_id)?) {
        profiles.set(user, "displayname", name.into())?;
    }
    let mut answer = json!({ "user_id": user_id, "home_server": accounts.server_name() });
    if let Some(session) = session {
        answer["access_token"] = session.access_token.into();
        answer["device_id"] = session.device_id.as_str().into();
    }
    Ok(JsonResponse(answer))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use ring::hmac;
    use serde_json::{Value, json};

    use crate::{
        api::client::fixture::TestServer,
        users::{Clock, SharedSecret},
    };

    const PATH: &str = "/_synapse/admin/v1/register";

    fn server() -> TestServer {
        let shared_secret = SharedSecret::new("shared", Clock::manual(0).0).unwrap();
        TestServer::customised(move |state| state.shared_secret = Some(shared_secret))
    }

    fn signed(nonce: &Value, username: &str, admin: bool) -> Value {
        let kind = if admin { "admin" } else { "notadmin" };
        let text = format!("{}\0{username}\0correct horse\0{kind}", nonce.as_str().unwrap());
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"shared");
        let mac = hmac::sign(&key, text.as_bytes());
        let mac = mac.as_ref().iter().fold(String::new(), |mac, byte| format!("{mac}{byte:02x}"));
        json!({
            "nonce": nonce, "username": username, "password": "correct horse", "admin": admin, "mac": mac,
            "displayname": "By script",
        })
    }

    #[tokio::test]
    async fn who_knows_the_secret_registers_although_registration_is_closed() {
        let server = server();
        server.user("first");
        for (username, admin) in [("alice", true), ("bob", false)] {
            let (status, answer) = server.get(PATH, None).await;
            assert_eq!(status, StatusCode::OK);
            let (status, answer) = server.post(PATH, None, signed(&answer["nonce"], username, admin)).await;
            assert_eq!(status, StatusCode::OK, "{answer}");
            let user_id = format!("@{username}:example.org");
            assert_eq!(
                (&answer["user_id"], &answer["home_server"]),
                (&json!(user_id), &json!("example.org"))
            );
            let whoami = "/_matrix/client/v3/account/whoami";
            let (_, whoami) = server.get(whoami, answer["access_token"].as_str()).await;
            assert_eq!(whoami["user_id"], user_id);
            let user_id = ruma::UserId::parse(user_id).unwrap();
            assert_eq!(server.fixture.accounts.is_admin(&user_id).unwrap(), admin);
            assert_eq!(server.fixture.profiles.get(&user_id).unwrap().display_name(), Some("By script"));
        }
    }

    #[tokio::test]
    async fn who_does_not_know_the_secret_is_refused() {
        let server = server();
        let nonce = server.get(PATH, None).await.1["nonce"].take();
        let mut wrong = signed(&nonce, "alice", false);
        wrong["admin"] = json!(true);
        let mut foreign = signed(&nonce, "alice", false);
        foreign["nonce"] = json!("00");
        for (body, status, errcode) in [
            (wrong, 403, "M_FORBIDDEN"),
            (foreign, 400, "M_INVALID_PARAM"),
            (json!({ "nonce": nonce }), 400, "M_MISSING_PARAM"),
            (json!({ "nonce": 1 }), 400, "M_BAD_JSON"),
        ] {
            let (got, answer) = server.post(PATH, None, body).await;
            assert_eq!((got.as_u16(), answer["errcode"].as_str()), (status, Some(errcode)), "{answer}");
        }
        let (status, answer) = server.send_raw(http::Method::POST, PATH, None, "{").await;
        assert_eq!((status, &answer["errcode"]), (StatusCode::BAD_REQUEST, &json!("M_NOT_JSON")));
    }

    #[tokio::test]
    async fn without_a_secret_there_is_no_such_endpoint() {
        let server = TestServer::new();
        let nonce = json!("00");
        for answer in
            [server.get(PATH, None).await, server.post(PATH, None, signed(&nonce, "a", false)).await]
        {
            assert_eq!((answer.0, &answer.1["errcode"]), (StatusCode::NOT_FOUND, &json!("M_UNRECOGNIZED")));
        }
    }
}
