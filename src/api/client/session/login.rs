//! `POST /login`: a new session for a user who proves who they are.

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request as HttpRequest, State},
};
use http::StatusCode;
use ruma::{
    OwnedUserId, UserId,
    api::{
        client::{
            session::login::v3::{ApplicationService, LoginInfo, Password, Request, Response},
            uiaa::UserIdentifier,
        },
        error::ErrorKind,
    },
};
use serde::Deserialize;

use crate::{
    api::{
        ApiError, ApiResult, MaybeAppserviceToken, Ruma, RumaResponse, blocking,
        rate_limits::LoginAttempts,
        request::{body_error, check_json},
    },
    users::{Accounts, Appservice, LoginSecret, LoginTokens, NewDevice, Sessions, UserError},
};

/// Logs a user in.
pub async fn login(
    State(accounts): State<Accounts>,
    State(sessions): State<Sessions>,
    State(tokens): State<LoginTokens>,
    State(secret): State<LoginSecret>,
    attempts: LoginAttempts,
    MaybeAppserviceToken(appservice): MaybeAppserviceToken,
    LoginRequest(request): LoginRequest,
) -> ApiResult<Response> {
    blocking::run(move || {
        let user_id = match &request.login_info {
            LoginInfo::ApplicationService(info) => own_user(&accounts, &appservice?.0, info)?,
            info if info.login_type() == LoginSecret::LOGIN_TYPE && secret.is_set() => {
                attempts.count(None)?;
                by_secret(&accounts, &secret, info)?
            }
            info => who(&accounts, &tokens, &attempts, info)?,
        };
        let device = NewDevice {
            device_id: request.device_id,
            display_name: request.initial_device_display_name,
            is_refreshable: request.refresh_token,
        };
        let session = sessions.start(&user_id, device)?;
        let mut response = Response::new(session.user_id, session.access_token, session.device_id);
        if let Some(refresh) = session.refresh {
            response.refresh_token = Some(refresh.refresh_token);
            response.expires_in = Some(refresh.expires_in);
        }
        Ok::<_, ApiError>(RumaResponse(response))
    })
    .await
}

fn who(
    accounts: &Accounts,
    tokens: &LoginTokens,
    attempts: &LoginAttempts,
    info: &LoginInfo,
) -> Result<OwnedUserId, ApiError> {
    match info {
        LoginInfo::Password(info) => {
            let user = user(info)?;
            attempts.count(accounts.meant_by(user).as_deref())?;
            Ok(accounts.check_password(user, &info.password)?)
        }
        LoginInfo::Token(info) => {
            attempts.count(None)?;
            Ok(tokens.redeem(&info.token)?)
        }
        _ => Err(unknown("This type of login is not offered")),
    }
}

/// The user whom a program that knows the secret logs in.
fn by_secret(accounts: &Accounts, secret: &LoginSecret, info: &LoginInfo) -> Result<OwnedUserId, ApiError> {
    #[derive(Deserialize)]
    struct Proof {
        identifier: UserIdentifier,
        token: String,
    }
    let proof = serde_json::from_value(info.data().into_owned().into());
    let Ok(Proof { identifier: UserIdentifier::Matrix(identifier), token }) = proof else {
        return Err(ApiError::missing_param("An identifier of type m.id.user and a token are needed"));
    };
    let user_id = UserId::parse_with_server_name(identifier.user.as_str(), accounts.server_name())
        .map_err(|_| ApiError::invalid_param("The identifier is not a user"))?;
    if secret.fits(&user_id, &token) { Ok(user_id) } else { Err(UserError::WrongCredentials.into()) }
}

/// The user of an application service that it logs in (application service API, "Server admin style
/// permissions").
fn own_user(
    accounts: &Accounts,
    appservice: &Appservice,
    info: &ApplicationService,
) -> Result<OwnedUserId, ApiError> {
    #[expect(deprecated, reason = "old bridges still name the user in the old place")]
    let user = match (&info.identifier, &info.user) {
        (Some(UserIdentifier::Matrix(identifier)), _) => &identifier.user,
        (None, Some(user)) => user,
        _ => return Err(ApiError::missing_param("An identifier of type m.id.user is needed")),
    };
    let user_id = UserId::parse_with_server_name(user.as_str(), accounts.server_name())
        .map_err(|_| ApiError::invalid_param("The identifier is not a user"))?;
    if !appservice.may_act_as(&accounts.appservices().current(), &user_id) {
        return Err(UserError::ExclusiveUser(user_id).into());
    }
    Ok(user_id)
}

/// The user as the client names them, in the place of now or of before r0.4.
#[expect(deprecated, reason = "old clients still name the user in the old place")]
fn user(info: &Password) -> Result<&str, ApiError> {
    match (&info.identifier, &info.user) {
        (Some(UserIdentifier::Matrix(identifier)), _) => Ok(&identifier.user),
        (None, Some(user)) => Ok(user),
        (None, None) => Err(ApiError::missing_param("An identifier is needed")),
        // The specification's answer for an address or number that no account has.
        (Some(id), _) if id.identifier_type() != "m.id.user" && id.as_third_party_id().is_some() => {
            Err(ApiError::forbidden("No account has this identifier"))
        }
        (Some(_), _) => Err(unknown("This type of identifier is not known")),
    }
}

fn unknown(message: &str) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, ErrorKind::Unknown, message)
}

/// The request. Ruma's type panics on a body without `type`, so this looks first.
pub struct LoginRequest(Request);

impl<S: Send + Sync> FromRequest<S> for LoginRequest {
    type Rejection = ApiError;

    async fn from_request(request: HttpRequest, state: &S) -> Result<Self, ApiError> {
        #[derive(Deserialize)]
        struct Typed {
            #[serde(rename = "type")]
            login_type: Option<serde::de::IgnoredAny>,
        }
        let (parts, body) = request.into_parts();
        let body = Bytes::from_request(HttpRequest::from_parts(parts.clone(), body), state).await;
        let body = body.map_err(|rejection| body_error(&rejection))?;
        check_json(&body)?;
        // What is no object is told by the next step.
        if serde_json::from_slice::<Typed>(&body).is_ok_and(|body| body.login_type.is_none()) {
            return Err(ApiError::missing_param("The type of login is needed"));
        }
        let request = HttpRequest::from_parts(parts, Body::from(body));
        Ruma::from_request(request, state).await.map(|Ruma(request)| Self(request))
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::{Value, json};

    use crate::api::client::fixture::TestServer;

    const PATH: &str = "/_matrix/client/v3/login";

    fn password(user: &str, password: &str) -> Value {
        let identifier = json!({ "type": "m.id.user", "user": user });
        json!({ "type": "m.login.password", "identifier": identifier, "password": password })
    }

    #[tokio::test]
    async fn a_password_logs_in_and_a_device_of_before_gets_a_new_token() {
        let server = TestServer::new();
        server.user("alice");
        let mut request = password("@alice:example.org", "correct horse");
        request["device_id"] = json!("PHONE");
        request["initial_device_display_name"] = json!("Phone");
        request["refresh_token"] = json!(true);
        let (status, first) = server.post(PATH, None, request.clone()).await;
        assert_eq!(status, StatusCode::OK, "{first}");
        assert_eq!((&first["user_id"], &first["device_id"]), (&json!("@alice:example.org"), &json!("PHONE")));
        assert!(first["refresh_token"].is_string() && first["expires_in_ms"].is_number());

        let (_, second) = server.post(PATH, None, request).await;
        let whoami = "/_matrix/client/v3/account/whoami";
        assert_eq!(server.get(whoami, second["access_token"].as_str()).await.0, StatusCode::OK);
        assert_eq!(server.get(whoami, first["access_token"].as_str()).await.0, StatusCode::UNAUTHORIZED);
    }

    #[tokio::test]
    async fn who_knows_the_secret_logs_users_in() {
        use crate::users::LoginSecret;

        let login = |user: &str, token: &str| {
            let identifier = json!({ "type": "m.id.user", "user": user });
            json!({ "type": LoginSecret::LOGIN_TYPE, "identifier": identifier, "token": token })
        };
        // By `openssl dgst -sha512 -hmac secret` of "@alice:example.org".
        let token = "b01e848165702a307ff8e3af705c3db283eb593ab72882e6d162221f0692980d\
                     5500f775eff7e003b406deb40b99b44e026e4aa887e0de4d0eee29e4b88ee317";
        let server = TestServer::customised(|state| state.login_secret = LoginSecret::new("secret"));
        server.user("alice");
        let (_, flows) = server.get(PATH, None).await;
        assert!(flows["flows"].as_array().unwrap().contains(&json!({ "type": LoginSecret::LOGIN_TYPE })));
        for user in ["alice", "@alice:example.org"] {
            let (status, session) = server.post(PATH, None, login(user, token)).await;
            assert_eq!((status, &session["user_id"]), (StatusCode::OK, &json!("@alice:example.org")));
        }
        for (user, token) in [("alice", "00"), ("alice", ""), ("bob", token), ("@alice:elsewhere.org", token)]
        {
            let (status, refused) = server.post(PATH, None, login(user, token)).await;
            assert_eq!(
                (status, &refused["errcode"]),
                (StatusCode::FORBIDDEN, &json!("M_FORBIDDEN")),
                "{user}"
            );
        }
        let (status, _) = server.post(PATH, None, json!({ "type": LoginSecret::LOGIN_TYPE })).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        let without = TestServer::new();
        without.user("alice");
        let (status, refused) = without.post(PATH, None, login("alice", token)).await;
        assert_eq!((status, &refused["errcode"]), (StatusCode::BAD_REQUEST, &json!("M_UNKNOWN")));
    }

    #[tokio::test]
    async fn the_old_place_for_the_user_still_works() {
        let server = TestServer::new();
        server.user("alice");
        let request = json!({ "type": "m.login.password", "user": "alice", "password": "correct horse" });
        assert_eq!(server.post("/_matrix/client/r0/login", None, request).await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn wrong_password_unknown_user_and_remote_user_look_the_same() {
        let server = TestServer::new();
        server.user("alice");
        let mut answers = Vec::new();
        for (user, secret) in
            [("alice", "wrong one"), ("bob", "correct horse"), ("@a:b.org", "correct horse")]
        {
            let (status, answer) = server.post(PATH, None, password(user, secret)).await;
            assert_eq!((status, &answer["errcode"]), (StatusCode::FORBIDDEN, &json!("M_FORBIDDEN")));
            answers.push(answer);
        }
        answers.dedup();
        assert_eq!(answers.len(), 1);
    }

    #[tokio::test]
    async fn what_is_no_login_is_refused() {
        let server = TestServer::new();
        let thirdparty = json!({ "type": "m.id.thirdparty", "medium": "email", "address": "a@b.org" });
        let by = |identifier: Value| json!({ "type": "m.login.password", "identifier": identifier, "password": "x" });
        for (request, status, errcode) in [
            (json!({}), 400, "M_MISSING_PARAM"),
            (json!({ "type": null }), 400, "M_MISSING_PARAM"),
            (json!({ "type": 1 }), 400, "M_MISSING_PARAM"),
            (json!([]), 400, "M_BAD_JSON"),
            (json!({ "type": "org.example.retina" }), 400, "M_UNKNOWN"),
            (json!({ "type": "m.login.password", "user": "alice" }), 400, "M_MISSING_PARAM"),
            (json!({ "type": "m.login.password", "password": "x" }), 400, "M_MISSING_PARAM"),
            (by(json!({ "type": "org.example.face" })), 400, "M_UNKNOWN"),
            (by(thirdparty), 403, "M_FORBIDDEN"),
            (json!({ "type": "m.login.token", "token": "guess" }), 403, "M_FORBIDDEN"),
        ] {
            let (got, answer) = server.post(PATH, None, request.clone()).await;
            assert_eq!((got.as_u16(), answer["errcode"].as_str()), (status, Some(errcode)), "{request}");
        }
        let (status, answer) = server.send_raw(http::Method::POST, PATH, None, "{nonsense").await;
        assert_eq!((status, &answer["errcode"]), (StatusCode::BAD_REQUEST, &json!("M_NOT_JSON")));
        let (status, answer) = server.send_raw(http::Method::POST, PATH, None, "").await;
        assert_eq!((status, &answer["errcode"]), (StatusCode::BAD_REQUEST, &json!("M_NOT_JSON")));
    }
}
