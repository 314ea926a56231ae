//! `GET /_matrix/client/versions`: the versions of the specification that this server speaks.

use axum::extract::State;
use ruma::api::client::discovery::get_supported_versions::{Request, Response};

use super::Advertised;
use crate::api::{ApiResult, Ruma, RumaResponse};

/// The versions. Old ones too, as clients ask for them by name.
const VERSIONS: [&str; 19] = [
    "v1.1", "v1.2", "v1.3", "v1.4", "v1.5", "v1.6", "v1.7", "v1.8", "v1.9", "v1.10", "v1.11", "v1.12",
    "v1.13", "v1.14", "v1.15", "v1.16", "v1.17", "v1.18", "v1.19",
];

/// Features that clients ask for by the names they had before they were part of the specification, and
/// that work under those names' paths.
const FEATURES: &[&str] = &[
    "org.matrix.msc3391",
    "org.matrix.msc3814",
    "org.matrix.msc3874",
    "org.matrix.msc3881",
    "org.matrix.msc4108",
    "org.matrix.msc4140",
    "org.matrix.msc4155",
    "org.matrix.msc4222",
    "org.matrix.msc4354",
    "org.matrix.msc4380.stable",
    "org.matrix.simplified_msc3575",
    "uk.tcpip.msc4133",
    "uk.tcpip.msc4133.stable",
];

/// Lists them.
pub async fn versions(State(advertised): State<Advertised>, _request: Ruma<Request>) -> ApiResult<Response> {
    let mut response = Response::new(VERSIONS.map(str::to_owned).to_vec());
    response.unstable_features = FEATURES.iter().map(|feature| ((*feature).to_owned(), true)).collect();
    if advertised.thread_subscriptions {
        response.unstable_features.insert("org.matrix.msc4306".to_owned(), true);
    }
    Ok(RumaResponse(response))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use crate::api::client::fixture::TestServer;

    #[tokio::test]
    async fn all_versions_are_named() {
        let (status, answer) = TestServer::new().get("/_matrix/client/versions", None).await;
        assert_eq!(status, StatusCode::OK);
        let versions: Vec<_> =
            answer["versions"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
        let expected: Vec<_> = (1..=19).map(|minor| format!("v1.{minor}")).collect();
        assert_eq!(versions, expected);
    }
}
