//! `GET /devices/{deviceId}`: one device of the user.

use axum::extract::State;
use ruma::api::client::device::get_device::v3::{Request, Response};

use super::shown;
use crate::{
    api::{ApiResult, Requester, Ruma, RumaResponse, blocking},
    users::{Devices, UserError},
};

/// Answers the device.
pub async fn get(
    State(devices): State<Devices>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    blocking::run(move || {
        let device = devices.get(requester.user, &request.device_id)?;
        Ok::<_, UserError>(RumaResponse(Response::new(shown(device))))
    })
    .await
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use crate::api::client::fixture::TestServer;

    #[tokio::test]
    async fn a_device_of_ones_own_is_found_and_others_are_not() {
        let server = TestServer::new();
        let (alice, bob) = (server.user("alice"), server.user("bob"));
        let path = |device: &str| format!("/_matrix/client/v3/devices/{device}");
        let token = Some(alice.access_token.as_str());
        let (status, answer) = server.get(&path(alice.device_id.as_str()), token).await;
        assert_eq!((status, &answer["device_id"]), (StatusCode::OK, &json!(alice.device_id)));
        for other in [bob.device_id.as_str(), "UNKNOWN"] {
            let (status, answer) = server.get(&path(other), token).await;
            assert_eq!((status, &answer["errcode"]), (StatusCode::NOT_FOUND, &json!("M_NOT_FOUND")));
        }
    }
}
