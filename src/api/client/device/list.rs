//! `GET /devices`: all devices of the user.

use axum::extract::State;
use ruma::api::client::device::get_devices::v3::{Request, Response};

use super::shown;
use crate::{
    api::{ApiResult, Requester, Ruma, RumaResponse, blocking},
    storage::StorageError,
    users::Devices,
};

/// Lists the devices.
pub async fn list(
    State(devices): State<Devices>,
    requester: Requester,
    _request: Ruma<Request>,
) -> ApiResult<Response> {
    blocking::run(move || {
        let devices = devices.list(requester.user)?.into_iter().map(shown).collect();
        Ok::<_, StorageError>(RumaResponse(Response::new(devices)))
    })
    .await
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use crate::api::client::fixture::TestServer;

    #[tokio::test]
    async fn one_sees_ones_own_devices() {
        let server = TestServer::new();
        let (alice, _bob) = (server.user("alice"), server.user("bob"));
        let (status, answer) = server.get("/_matrix/client/v3/devices", Some(&alice.access_token)).await;
        let device = json!({
            "device_id": alice.device_id, "display_name": null, "last_seen_ip": null,
            "last_seen_ts": 1_700_000_000_000_u64,
        });
        assert_eq!((status, answer), (StatusCode::OK, json!({ "devices": [device] })));
    }
}
