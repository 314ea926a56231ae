//! `DELETE /profile/{userId}/{keyName}`: removes a field of one's own profile.

use axum::extract::State;
use ruma::api::client::profile::delete_profile_field::v3::{Request, Response};

use super::follow;
use crate::{
    api::{ApiResult, Requester, Ruma, RumaResponse, blocking},
    rooms::Memberships,
    users::Profiles,
};

/// Removes the field; it need not be there.
pub async fn delete_field(
    State(profiles): State<Profiles>,
    State(memberships): State<Memberships>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    requester.must_be(&request.user_id)?;
    blocking::run(move || {
        let change = profiles.remove(requester.user, request.field.as_str())?;
        follow(&memberships, &requester.user_id, &change)
    })
    .await?;
    Ok(RumaResponse(Response::new()))
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use serde_json::json;

    use crate::api::client::fixture::TestServer;

    #[tokio::test]
    async fn a_field_goes_and_may_have_gone_before() {
        let server = TestServer::new();
        let (alice, bob) = (server.user("alice"), server.user("bob"));
        server.fixture.profiles.set(alice.user, "displayname", json!("Alice")).unwrap();
        let path = "/_matrix/client/v3/profile/@alice:example.org/displayname";
        let delete = |token: &str| {
            let token = token.to_owned();
            let server = &server;
            async move { server.send_raw(Method::DELETE, path, Some(&token), "").await }
        };
        assert_eq!(delete(&bob.access_token).await.0, StatusCode::FORBIDDEN);
        for _twice in 0..2 {
            assert_eq!(delete(&alice.access_token).await, (StatusCode::OK, json!({})));
        }
        assert_eq!(server.get(path, None).await.0, StatusCode::NOT_FOUND);
    }
}
