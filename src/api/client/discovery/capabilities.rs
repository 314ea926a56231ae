//! `GET /capabilities`: what users can do here.

use axum::extract::State;
use ruma::api::client::discovery::get_capabilities::v3::Request;
use serde_json::{Map, Value, json};

use super::Advertised;
use crate::{
    api::{ApiError, Requester, Ruma, json::JsonResponse},
    rooms::limits::DELAYED_SCHEDULED_MAX,
};

/// The stable room versions, all of which this server knows.
const ROOM_VERSIONS: std::ops::RangeInclusive<u8> = 1..=12;

/// Lists them. Written without ruma's type, which leaves out what has its default value, while some
/// clients look for it.
pub async fn capabilities(
    State(advertised): State<Advertised>,
    requester: Requester,
    _request: Ruma<Request>,
) -> Result<JsonResponse<Value>, ApiError> {
    let versions = ROOM_VERSIONS.map(|version| (version.to_string(), json!("stable")));
    let enabled = |enabled: bool| json!({ "enabled": enabled });
    let mut answer = json!({
        "capabilities": {
            "m.room_versions": {
                "default": advertised.default_room_version,
                "available": versions.collect::<Map<_, _>>(),
            },
            "m.change_password": enabled(true),
            "m.set_displayname": enabled(true),
            "m.set_avatar_url": enabled(true),
            "m.profile_fields": enabled(true),
            "m.get_login_token": enabled(true),
            "m.3pid_changes": enabled(false),
            "org.matrix.msc4140.delayed_events": {
                "max_delay_ms": advertised.event_delay_ms_max,
                "max_scheduled": DELAYED_SCHEDULED_MAX,
            },
        },
    });
    if requester.is_admin
        && let Some(capabilities) = answer["capabilities"].as_object_mut()
    {
        capabilities.insert("m.account_moderation".to_owned(), json!({ "suspend": true, "lock": true }));
    }
    Ok(JsonResponse(answer))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use crate::api::client::fixture::TestServer;

    #[tokio::test]
    async fn users_learn_what_they_can_do() {
        let server = TestServer::new();
        let alice = server.user("alice");
        let path = "/_matrix/client/v3/capabilities";
        let (status, answer) = server.get(path, Some(&alice.access_token)).await;
        assert_eq!(status, StatusCode::OK);
        let capabilities = &answer["capabilities"];
        assert_eq!(capabilities["m.room_versions"]["default"], "12");
        assert_eq!(capabilities["m.room_versions"]["available"].as_object().unwrap().len(), 12);
        assert_eq!(capabilities["m.room_versions"]["available"]["1"], "stable");
        assert_eq!(capabilities["m.change_password"], json!({ "enabled": true }));
        assert_eq!(server.get(path, None).await.0, StatusCode::UNAUTHORIZED);
    }
}
