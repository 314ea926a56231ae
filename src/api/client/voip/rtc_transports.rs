//! `GET /rtc/transports` (MSC4143): where group calls meet.

use axum::extract::State;
use ruma::api::client::rtc::transports::v1::Request;
use serde::Serialize;

use crate::api::{ApiError, Requester, Ruma, json::JsonResponse};

/// The LiveKit services that the operator has set (MSC4195).
#[derive(Debug, Clone, Default)]
pub struct RtcFoci(pub Vec<String>);

/// A focus as clients read it, here and in `/.well-known/matrix/client`.
#[derive(Debug, Serialize)]
pub struct Focus {
    #[serde(rename = "type")]
    kind: &'static str,
    livekit_service_url: String,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Transports {
    rtc_transports: Vec<Focus>,
}

impl RtcFoci {
    /// Each as clients read it.
    pub fn written(self) -> Vec<Focus> {
        self.0.into_iter().map(|url| Focus { kind: "livekit", livekit_service_url: url }).collect()
    }
}

/// The handler.
pub async fn rtc_transports(
    State(foci): State<RtcFoci>,
    _requester: Requester,
    _request: Ruma<Request>,
) -> Result<JsonResponse<Transports>, ApiError> {
    Ok(JsonResponse(Transports { rtc_transports: foci.written() }))
}
