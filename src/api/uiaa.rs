//! User-interactive authentication in handlers.

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request},
};
use ruma::api::{IncomingRequest, client::uiaa::AuthData};
use serde_json::{Map, Value, json};

use super::{
    ApiError, Ruma,
    rate_limits::LoginAttempts,
    request::{body_error, check_json},
};
use crate::users::{Operation, Outcome, Stage, Uiaa};

/// The flows of what a logged-in user may do who gives the password again.
const PASSWORD_FLOWS: &[&[Stage]] = &[&[Stage::Password]];

/// As [`authorize`], for a logged-in user who has to give the password again. A request with a password is
/// an attempt to log in; one that only asks what is needed is not.
pub fn authorize_by_password(
    uiaa: &Uiaa,
    attempts: &LoginAttempts,
    operation: &Operation,
    auth: Option<&AuthData>,
) -> Result<(), ApiError> {
    if let Some(AuthData::Password(_)) = auth {
        attempts.count(operation.user.as_deref())?;
    }
    authorize(uiaa, operation, PASSWORD_FLOWS, auth)
}

/// Lets a request go on whose `auth` proves what one of the flows asks for; answers 401 with what is still
/// to be proved otherwise. May hash a password: call it off the runtime's threads.
pub fn authorize(
    uiaa: &Uiaa,
    operation: &Operation,
    flows: &[&'static [Stage]],
    auth: Option<&AuthData>,
) -> Result<(), ApiError> {
    match uiaa.check(operation, flows, auth)? {
        Outcome::Authorized => Ok(()),
        Outcome::Needed(info) => Err(ApiError::Uiaa(info)),
    }
}

/// A request whose `auth` is taken as clients send it: without a stage, which means that they have none yet, and
/// with the user named as before r0.4. (matrix-nio does both; ruma's types take neither.)
#[derive(Debug)]
pub struct WithAuth<R>(pub R);

impl<R: IncomingRequest, S: Send + Sync> FromRequest<S> for WithAuth<R> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let body = Bytes::from_request(Request::from_parts(parts.clone(), body), state)
            .await
            .map_err(|rejection| body_error(&rejection))?;
        let body = if body.is_empty() { body } else { normalized(body)? };
        let request = Request::from_parts(parts, Body::from(body));
        Ruma::from_request(request, state).await.map(|Ruma(request)| Self(request))
    }
}

/// The body with its `auth` in today's form. What does not look like a request at all is left to its type.
fn normalized(body: Bytes) -> Result<Bytes, ApiError> {
    check_json(&body)?;
    let Ok(mut object) = serde_json::from_slice::<Map<String, Value>>(&body) else { return Ok(body) };
    let Some(Value::Object(auth)) = object.get_mut("auth") else { return Ok(body) };
    if !auth.contains_key("type") && !auth.contains_key("session") {
        object.remove("auth");
    } else if auth.get("type").is_some_and(|it| it == "m.login.password") && !auth.contains_key("identifier")
    {
        let Some(user) = auth.remove("user") else { return Ok(body) };
        auth.insert("identifier".to_owned(), json!({ "type": "m.id.user", "user": user }));
    } else {
        return Ok(body);
    }
    let body = serde_json::to_vec(&object).map_err(|e| ApiError::internal(format!("a body: {e}")))?;
    Ok(Bytes::from(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalize(body: &Value) -> Value {
        let body = normalized(Bytes::from(body.to_string())).unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    #[test]
    fn no_stage_is_no_authentication() {
        let body = json!({ "username": "a", "auth": { "initial_device_display_name": "nio" } });
        assert_eq!(normalize(&body), json!({ "username": "a" }));
    }

    #[test]
    fn the_old_place_of_the_user_is_known() {
        let body = json!({ "auth": { "type": "m.login.password", "user": "a", "password": "b" } });
        let identifier = json!({ "type": "m.id.user", "user": "a" });
        let expected = json!({ "type": "m.login.password", "identifier": identifier, "password": "b" });
        assert_eq!(normalize(&body), json!({ "auth": expected }));
    }

    #[test]
    fn the_rest_stays_as_it_is() {
        for body in [
            json!({ "auth": { "session": "s" } }),
            json!({ "auth": { "type": "m.login.dummy" } }),
            json!({ "auth": null }),
            json!({ "a": [1] }),
            json!([1]),
        ] {
            assert_eq!(normalize(&body), body);
        }
    }
}
