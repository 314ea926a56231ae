//! `GET /.well-known/matrix/client`: where clients that know only the server's name reach it.

use axum::extract::State;
use ruma::api::client::discovery::discover_homeserver::{HomeserverInfo, Request};
use serde::Serialize;

use super::Advertised;
use crate::api::{
    ApiError, Ruma,
    client::voip::{Focus, RtcFoci},
    json::JsonResponse,
};

/// The answer. Ruma's type does not know foci as clients read them (MSC4143).
#[derive(Debug, Serialize)]
pub struct WellKnown {
    #[serde(rename = "m.homeserver")]
    homeserver: HomeserverInfo,
    #[serde(rename = "org.matrix.msc4143.rtc_foci", skip_serializing_if = "Vec::is_empty")]
    rtc_foci: Vec<Focus>,
}

/// Answers the URL, or 404 where the operator has set none.
pub async fn well_known_client(
    State(advertised): State<Advertised>,
    _request: Ruma<Request>,
) -> Result<JsonResponse<WellKnown>, ApiError> {
    match advertised.client_base_url {
        Some(url) => Ok(JsonResponse(WellKnown {
            homeserver: HomeserverInfo::new(url),
            rtc_foci: RtcFoci(advertised.livekit_urls).written(),
        })),
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
        let calls = TestServer::customised(|state| {
            state.advertised.livekit_urls = vec!["https://calls.example.org".to_owned()];
        });
        let foci = json!([{ "type": "livekit", "livekit_service_url": "https://calls.example.org" }]);
        assert_eq!(calls.get(PATH, None).await.1["org.matrix.msc4143.rtc_foci"], foci);
        let silent = TestServer::customised(|state| state.advertised.client_base_url = None);
        assert_eq!(silent.get(PATH, None).await.0, StatusCode::NOT_FOUND);
    }
}
