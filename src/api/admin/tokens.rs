//! `/_synapse/admin/v1/registration_tokens`: tokens with which people may register.

use axum::extract::State;
use http::Method;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::{Admin, FilterQuery};
use crate::{
    api::{
        ApiError, PathArguments, blocking,
        json::{JsonBody, JsonResponse},
        routes::Routes,
    },
    storage::records::RegistrationTokenRecord,
    users::{NewRegistrationToken, RegistrationTokenChange, Uiaa},
};

/// Characters of a token that the server chooses.
const LENGTH_DEFAULT: usize = 16;

/// Adds the endpoints of this file.
pub fn routes(routes: Routes) -> Routes {
    let all = "/_synapse/admin/v1/registration_tokens";
    let one = "/_synapse/admin/v1/registration_tokens/{token}";
    routes
        .add_at(Method::GET, all, list)
        .add_at(Method::POST, &format!("{all}/new"), create)
        .add_at(Method::GET, one, get)
        .add_at(Method::PUT, one, change)
        .add_at(Method::DELETE, one, remove)
}

type Answer = Result<JsonResponse<Value>, ApiError>;

fn shown(uiaa: &Uiaa, token: &str, record: &RegistrationTokenRecord) -> Value {
    json!({
        "token": token,
        "uses_allowed": record.uses_allowed,
        "pending": uiaa.pending_uses(token),
        "completed": record.completed,
        "expiry_time": record.expires_at_ms,
    })
}

/// Those that hold, or those that do not.
#[derive(Debug, Deserialize)]
struct ListQuery {
    valid: Option<bool>,
}

async fn list(State(uiaa): State<Uiaa>, _admin: Admin, FilterQuery(query): FilterQuery<ListQuery>) -> Answer {
    blocking::run(move || {
        let mut shown_tokens = Vec::new();
        for (token, record) in uiaa.registration_tokens().all()? {
            let is_valid = uiaa.registration_tokens().is_valid(&record, uiaa.pending_uses(&token));
            if query.valid.is_none_or(|wanted| wanted == is_valid) {
                shown_tokens.push(shown(&uiaa, &token, &record));
            }
        }
        Ok::<_, ApiError>(JsonResponse(json!({ "registration_tokens": shown_tokens })))
    })
    .await
}

async fn get(State(uiaa): State<Uiaa>, _admin: Admin, PathArguments(token): PathArguments<String>) -> Answer {
    blocking::run(move || {
        let record = uiaa.registration_tokens().get(&token)?.ok_or_else(|| unknown(&token))?;
        Ok::<_, ApiError>(JsonResponse(shown(&uiaa, &token, &record)))
    })
    .await
}

#[derive(Debug, Deserialize)]
struct NewBody {
    token: Option<String>,
    length: Option<usize>,
    uses_allowed: Option<u64>,
    expiry_time: Option<u64>,
}

async fn create(State(uiaa): State<Uiaa>, _admin: Admin, JsonBody(body): JsonBody<NewBody>) -> Answer {
    blocking::run(move || {
        let (token, record) = uiaa.registration_tokens().create(NewRegistrationToken {
            token: body.token,
            length: body.length.unwrap_or(LENGTH_DEFAULT),
            uses_allowed: body.uses_allowed,
            expires_at_ms: body.expiry_time,
        })?;
        Ok::<_, ApiError>(JsonResponse(shown(&uiaa, &token, &record)))
    })
    .await
}

/// What is to be changed; `null` takes a limit away.
#[derive(Debug, Deserialize)]
struct ChangeBody {
    #[serde(default, deserialize_with = "given")]
    uses_allowed: Option<Option<u64>>,
    #[serde(default, deserialize_with = "given")]
    expiry_time: Option<Option<u64>>,
}

/// Tells a field that is `null` from one that is left out.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

async fn change(
    State(uiaa): State<Uiaa>,
    _admin: Admin,
    PathArguments(token): PathArguments<String>,
    JsonBody(body): JsonBody<ChangeBody>,
) -> Answer {
    let change = RegistrationTokenChange { uses_allowed: body.uses_allowed, expires_at_ms: body.expiry_time };
    blocking::run(move || {
        let record = uiaa.registration_tokens().change(&token, change)?.ok_or_else(|| unknown(&token))?;
        Ok::<_, ApiError>(JsonResponse(shown(&uiaa, &token, &record)))
    })
    .await
}

async fn remove(
    State(uiaa): State<Uiaa>,
    _admin: Admin,
    PathArguments(token): PathArguments<String>,
) -> Answer {
    blocking::run(move || {
        if !uiaa.registration_tokens().remove(&token)? {
            return Err(unknown(&token));
        }
        Ok(JsonResponse(json!({})))
    })
    .await
}

fn unknown(token: &str) -> ApiError {
    ApiError::not_found(format!("No such registration token: {token}"))
}
