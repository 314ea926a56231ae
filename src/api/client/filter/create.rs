//! `POST /user/{userId}/filter`: stores a filter.

use axum::extract::State;
use ruma::api::client::filter::create_filter::v3::{Request, Response};

use crate::{
    api::{ApiResult, Requester, Ruma, RumaResponse, blocking},
    users::{Filters, UserError},
};

/// Stores the filter and answers its id.
pub async fn create(
    State(filters): State<Filters>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    requester.must_be(&request.user_id)?;
    blocking::run(move || {
        let id = filters.create(requester.user, &request.filter)?;
        Ok::<_, UserError>(RumaResponse(Response::new(id)))
    })
    .await
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use crate::api::client::fixture::TestServer;

    const PATH: &str = "/_matrix/client/v3/user/@alice:example.org/filter";

    #[tokio::test]
    async fn a_filter_is_stored_and_got() {
        let server = TestServer::new();
        let alice = server.user("alice");
        let token = Some(alice.access_token.as_str());
        let filter = json!({
            "event_fields": ["type", "content"],
            "room": { "timeline": { "limit": 10, "not_types": ["m.sticker"] }, "rooms": ["!a:b.org"] },
        });
        let (status, answer) = server.post(PATH, token, filter.clone()).await;
        assert_eq!(status, StatusCode::OK);
        let id = answer["filter_id"].as_str().unwrap();
        assert_eq!(server.get(&format!("{PATH}/{id}"), token).await, (StatusCode::OK, filter));
    }

    #[tokio::test]
    async fn what_is_no_filter_is_refused() {
        let server = TestServer::new();
        let (alice, bob) = (server.user("alice"), server.user("bob"));
        for filter in [
            json!({ "presence": "nonsense" }),
            json!({ "room": { "timeline": { "rooms": ["nonsense"] } } }),
            json!({ "room": { "timeline": { "senders": ["nonsense"] } } }),
            json!({ "room": { "timeline": { "limit": -1 } } }),
        ] {
            let (status, answer) = server.post(PATH, Some(&alice.access_token), filter).await;
            assert_eq!((status, &answer["errcode"]), (StatusCode::BAD_REQUEST, &json!("M_BAD_JSON")));
        }
        let (status, _) = server.post(PATH, Some(&bob.access_token), json!({})).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
    }
}
