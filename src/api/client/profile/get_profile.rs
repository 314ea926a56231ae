//! `GET /profile/{userId}`: a user's profile.

use axum::extract::State;
use ruma::api::client::profile::get_profile::v3::{Request, Response};

use super::read;
use crate::{
    api::{ApiResult, Ruma, RumaResponse},
    federation::RemoteProfiles,
    users::Profiles,
};

/// Answers all fields.
pub async fn get_profile(
    State(profiles): State<Profiles>,
    State(remote): State<RemoteProfiles>,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let profile = read(profiles, remote, request.user_id).await?;
    Ok(RumaResponse(profile.fields.into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use crate::api::client::fixture::TestServer;

    #[tokio::test]
    async fn anybody_sees_a_profile() {
        let server = TestServer::new();
        let alice = server.user("alice");
        let path = "/_matrix/client/v3/profile/@alice:example.org";
        assert_eq!(server.get(path, None).await, (StatusCode::OK, json!({})));
        server.fixture.profiles.set(alice.user, "displayname", json!("Alice")).unwrap();
        server.fixture.profiles.set(alice.user, "org.example.a", json!([1])).unwrap();
        let expected = json!({ "displayname": "Alice", "org.example.a": [1] });
        assert_eq!(server.get(path, None).await, (StatusCode::OK, expected));
    }

    #[tokio::test]
    async fn strangers_have_none() {
        let server = TestServer::new();
        for (user, status, errcode) in [
            ("@bob:example.org", 404, "M_NOT_FOUND"),
            ("@bob:elsewhere.org", 404, "M_NOT_FOUND"),
            ("nonsense", 400, "M_INVALID_PARAM"),
        ] {
            let (got, answer) = server.get(&format!("/_matrix/client/v3/profile/{user}"), None).await;
            assert_eq!((got.as_u16(), answer["errcode"].as_str()), (status, Some(errcode)), "{user}");
        }
    }
}
