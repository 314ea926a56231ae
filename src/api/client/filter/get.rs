//! `GET /user/{userId}/filter/{filterId}`: a stored filter.

use axum::extract::State;
use ruma::api::client::filter::get_filter::v3::{Request, Response};

use crate::{
    api::{ApiError, ApiResult, Requester, Ruma, RumaResponse, blocking},
    users::Filters,
};

/// Answers the filter.
pub async fn get(
    State(filters): State<Filters>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    requester.must_be(&request.user_id)?;
    blocking::run(move || match filters.get(requester.user, &request.filter_id)? {
        Some(filter) => Ok(RumaResponse(Response::new(filter))),
        None => Err(ApiError::not_found("There is no such filter")),
    })
    .await
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use crate::api::client::fixture::TestServer;

    #[tokio::test]
    async fn unknown_filters_and_those_of_others_are_not_found() {
        let server = TestServer::new();
        let (alice, bob) = (server.user("alice"), server.user("bob"));
        let path = "/_matrix/client/v3/user/@alice:example.org/filter/0";
        let (status, answer) = server.get(path, Some(&alice.access_token)).await;
        assert_eq!((status, &answer["errcode"]), (StatusCode::NOT_FOUND, &json!("M_NOT_FOUND")));
        assert_eq!(server.get(path, Some(&bob.access_token)).await.0, StatusCode::FORBIDDEN);
    }
}
