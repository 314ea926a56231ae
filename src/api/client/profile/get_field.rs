//! `GET /profile/{userId}/{keyName}`: one field of a user's profile.

use axum::extract::State;
use ruma::{
    api::client::profile::get_profile_field::v3::{Request, Response},
    profile::ProfileFieldValue,
};

use super::read;
use crate::{
    api::{ApiError, ApiResult, Ruma, RumaResponse},
    federation::RemoteProfiles,
    users::Profiles,
};

/// Answers the field.
pub async fn get_field(
    State(profiles): State<Profiles>,
    State(remote): State<RemoteProfiles>,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let mut profile = read(profiles, remote, request.user_id).await?;
    let field = request.field.as_str();
    let Some(value) = profile.fields.remove(field) else {
        return Err(ApiError::not_found("The profile has no such field"));
    };
    let value = ProfileFieldValue::new(field, value).map_err(ApiError::internal)?;
    Ok(RumaResponse(Response::new(value)))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use crate::api::client::fixture::TestServer;

    #[tokio::test]
    async fn a_field_is_there_or_not() {
        let server = TestServer::new();
        let alice = server.user("alice");
        server.fixture.profiles.set(alice.user, "displayname", json!("Alice")).unwrap();
        server.fixture.profiles.set(alice.user, "org.example.a", json!(null)).unwrap();
        for version in ["r0", "v3"] {
            let path = |field: &str| format!("/_matrix/client/{version}/profile/@alice:example.org/{field}");
            let name = json!({ "displayname": "Alice" });
            assert_eq!(server.get(&path("displayname"), None).await, (StatusCode::OK, name));
            let null = json!({ "org.example.a": null });
            assert_eq!(server.get(&path("org.example.a"), None).await, (StatusCode::OK, null));
            let (status, answer) = server.get(&path("avatar_url"), None).await;
            assert_eq!((status, &answer["errcode"]), (StatusCode::NOT_FOUND, &json!("M_NOT_FOUND")));
        }
    }
}
