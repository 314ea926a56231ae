//! `PUT /profile/{userId}/{keyName}`: sets a field of one's own profile.

use axum::extract::State;
use ruma::api::client::profile::set_profile_field::v3::{Request, Response};

use super::follow;
use crate::{
    api::{ApiResult, Requester, Ruma, RumaResponse, blocking},
    rooms::Memberships,
    users::Profiles,
};

/// Sets the field.
pub async fn set_field(
    State(profiles): State<Profiles>,
    State(memberships): State<Memberships>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    requester.must_be(&request.user_id)?;
    blocking::run(move || {
        let (field, value) = (request.value.field_name(), request.value.value().into_owned());
        let change = profiles.set(requester.user, field.as_str(), value)?;
        follow(&memberships, &requester.user_id, &change)
    })
    .await?;
    Ok(RumaResponse(Response::new()))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use crate::api::client::fixture::TestServer;

    fn path(user: &str, field: &str) -> String {
        format!("/_matrix/client/v3/profile/@{user}:example.org/{field}")
    }

    #[tokio::test]
    async fn one_sets_ones_own_fields() {
        let server = TestServer::new();
        let alice = server.user("alice");
        let token = Some(alice.access_token.as_str());
        for body in [
            json!({ "displayname": "Alice" }),
            json!({ "avatar_url": "mxc://example.org/abc" }),
            json!({ "m.tz": "Europe/London" }),
            json!({ "org.example.a": { "b": [null] } }),
        ] {
            let field = body.as_object().unwrap().keys().next().unwrap();
            let (status, answer) = server.put(&path("alice", field), token, body.clone()).await;
            assert_eq!((status, answer), (StatusCode::OK, json!({})), "{body}");
            assert_eq!(server.get(&path("alice", field), None).await, (StatusCode::OK, body));
        }
        let empty = json!({ "avatar_url": "" });
        assert_eq!(server.put(&path("alice", "avatar_url"), token, empty).await.0, StatusCode::OK);
        assert_eq!(server.get(&path("alice", "avatar_url"), None).await.0, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn what_does_not_fit_is_refused() {
        let server = TestServer::new();
        let (alice, _bob) = (server.user("alice"), server.user("bob"));
        let token = Some(alice.access_token.as_str());
        let long = format!("org.{}", "a".repeat(260));
        for (user, field, body, status, errcode) in [
            ("bob", "displayname", json!({ "displayname": "x" }), 403, "M_FORBIDDEN"),
            ("alice", "displayname", json!({}), 400, "M_MISSING_PARAM"),
            ("alice", "displayname", json!({ "displayname": 1 }), 400, "M_BAD_JSON"),
            ("alice", "displayname", json!([]), 400, "M_BAD_JSON"),
            ("alice", "avatar_url", json!({ "avatar_url": "m".repeat(2_000) }), 400, "M_INVALID_PARAM"),
            ("alice", "Custom", json!({ "Custom": 1 }), 400, "M_INVALID_PARAM"),
            ("alice", &long, json!({ &long: 1 }), 400, "M_KEY_TOO_LARGE"),
            ("alice", "org.a", json!({ "org.a": "a".repeat(70_000) }), 400, "M_PROFILE_TOO_LARGE"),
        ] {
            let (got, answer) = server.put(&path(user, field), token, body).await;
            assert_eq!((got.as_u16(), answer["errcode"].as_str()), (status, Some(errcode)), "{field}");
        }
        assert_eq!(server.get("/_matrix/client/v3/profile/@alice:example.org", None).await.1, json!({}));
    }
}
