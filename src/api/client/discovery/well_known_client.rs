//! `GET /.well-known/matrix/client`: where clients that know only the server's name reach it.

use axum::extract::State;
use ruma::api::client::discovery::discover_homeserver::{HomeserverInfo, Request, Response};

use super::Advertised;
use crate::api::{ApiError, ApiResult, Ruma, RumaResponse};

/// Answers the URL, or 404 where the operator has set none.
pub async fn well_known_client(
    State(advertised): State<Advertised>,
    _request: Ruma<Request>,
) -> ApiResult<Response> {
    match advertised.client_base_url {
        Some(url) => Ok(RumaResponse(Response::new(HomeserverInfo::new(url)))),
        None => Err(ApiError::not_found("This server tells clients nothing here")),
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use crate::api::client::fixture::TestServer;

    const PATH: &str = "/.well-known/matrix/client";

    #[tokio::test]
    async fn the_url_is_told_if_it_is_set() {
        let server = TestServer::new();
        let expected = json!({ "m.homeserver": { "base_url": "https://matrix.example.org" } });
        assert_eq!(server.get(PATH, None).await, (StatusCode::OK, expected));
        let silent = TestServer::customised(|state| state.advertised.client_base_url = None);
        assert_eq!(silent.get(PATH, None).await.0, StatusCode::NOT_FOUND);
    }
}
