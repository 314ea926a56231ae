//! `GET /account/whoami`: whose access token this is.

use ruma::api::client::account::whoami::v3::{Request, Response};

use crate::api::{ApiResult, Requester, Ruma, RumaResponse};

/// Tells user and device.
pub async fn whoami(requester: Requester, _request: Ruma<Request>) -> ApiResult<Response> {
    let mut response = Response::new(requester.user_id, false);
    // An application service may act for a user without being any device.
    response.device_id = Some(requester.device_id).filter(|device_id| !device_id.as_str().is_empty());
    Ok(RumaResponse(response))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use crate::api::client::fixture::TestServer;

    #[tokio::test]
    async fn a_token_says_who_one_is() {
        let server = TestServer::new();
        let alice = server.user("alice");
        for path in ["/_matrix/client/v3/account/whoami", "/_matrix/client/r0/account/whoami"] {
            let (status, answer) = server.get(path, Some(&alice.access_token)).await;
            let expected = json!({ "user_id": "@alice:example.org", "device_id": alice.device_id });
            assert_eq!((status, answer), (StatusCode::OK, expected));
            let (status, answer) = server.get(path, None).await;
            assert_eq!((status, &answer["errcode"]), (StatusCode::UNAUTHORIZED, &json!("M_MISSING_TOKEN")));
        }
    }
}
