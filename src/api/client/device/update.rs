//! `PUT /devices/{deviceId}`: a new name for a device; for an application service, also a new device (MSC4190).

use axum::extract::State;
use ruma::api::client::device::update_device::v3::{Request, Response};

use crate::{
    api::{ApiResult, Requester, Ruma, RumaResponse, blocking},
    users::{Devices, Sessions, UserError},
};

/// Renames the device, which must exist, unless an application service asks: it makes devices so.
pub async fn update(
    State(devices): State<Devices>,
    State(sessions): State<Sessions>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    blocking::run(move || {
        if requester.appservice.is_some() {
            sessions.make_device(requester.user, &request.device_id, request.display_name)?;
        } else {
            devices.rename(requester.user, &request.device_id, request.display_name)?;
        }
        Ok::<_, UserError>(RumaResponse(Response::new()))
    })
    .await
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use crate::api::client::fixture::TestServer;

    #[tokio::test]
    async fn a_device_gets_a_name() {
        let server = TestServer::new();
        let alice = server.user("alice");
        let path = format!("/_matrix/client/v3/devices/{}", alice.device_id);
        let token = Some(alice.access_token.as_str());
        let (status, answer) = server.put(&path, token, json!({ "display_name": "Phone" })).await;
        assert_eq!((status, answer), (StatusCode::OK, json!({})));
        assert_eq!(server.put(&path, token, json!({})).await.0, StatusCode::OK);
        assert_eq!(server.get(&path, token).await.1["display_name"], "Phone");
    }

    #[tokio::test]
    async fn clients_make_no_devices_by_naming_them() {
        let server = TestServer::new();
        let alice = server.user("alice");
        let path = "/_matrix/client/v3/devices/UNKNOWN";
        let (status, answer) =
            server.put(path, Some(&alice.access_token), json!({ "display_name": "x" })).await;
        assert_eq!((status, &answer["errcode"]), (StatusCode::NOT_FOUND, &json!("M_NOT_FOUND")));
    }
}
