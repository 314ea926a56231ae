//! `GET /.well-known/matrix/server`: where servers that know only the server's name reach it
//! (server-server API, "Server discovery").

use axum::extract::State;
use serde_json::{Value, json};

use super::Advertised;
use crate::api::{ApiError, json::JsonResponse};

/// Answers name and port, or 404 where the operator has set none.
pub async fn well_known_server(
    State(advertised): State<Advertised>,
) -> Result<JsonResponse<Value>, ApiError> {
    match advertised.server {
        Some(server) => Ok(JsonResponse(json!({ "m.server": server }))),
        None => Err(ApiError::not_found("This server tells servers nothing here")),
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use crate::api::client::fixture::TestServer;

    const PATH: &str = "/.well-known/matrix/server";

    #[tokio::test]
    async fn the_name_is_told_if_it_is_set() {
        let server = TestServer::new();
        let expected = json!({ "m.server": "matrix.example.org:443" });
        assert_eq!(server.get(PATH, None).await, (StatusCode::OK, expected));
        let silent = TestServer::customised(|state| state.advertised.server = None);
        assert_eq!(silent.get(PATH, None).await.0, StatusCode::NOT_FOUND);
    }
}
