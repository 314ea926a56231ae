//! Scheduling an event: what the three requests that do so have in common.

use axum::extract::FromRequestParts;
use http::{Uri, request::Parts};
use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedRoomId, exports::serde_html_form};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api::{
        ApiError, Requester, blocking,
        client::send::{massaged_timestamp, sticky_duration},
        json::JsonResponse,
    },
    rooms::{DelayedEvents, appender::ClientTransaction, delayed::NewDelayedEvent},
};

/// The delay in the query of `/send` and `/state`, in milliseconds, if there is one.
#[derive(Debug, Clone, Copy)]
pub struct Delay(pub Option<u64>);

impl<S: Send + Sync> FromRequestParts<S> for Delay {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        #[derive(Deserialize)]
        struct Query {
            #[serde(rename = "org.matrix.msc4140.delay")]
            delay_ms: Option<u64>,
        }
        let query: Query = serde_html_form::from_str(parts.uri.query().unwrap_or_default())
            .map_err(|_| ApiError::invalid_param("The delay must be a number of milliseconds"))?;
        Ok(Self(query.delay_ms))
    }
}

/// A request to send an event later.
#[derive(Debug)]
pub struct ScheduleRequest {
    /// The room.
    pub room_id: OwnedRoomId,
    /// The event's type.
    pub event_type: String,
    /// Its state key, for state.
    pub state_key: Option<String>,
    /// The delay in milliseconds.
    pub delay_ms: u64,
    /// The request, where it can be repeated.
    pub transaction: Option<ClientTransaction>,
}

/// Schedules an event. A request that was made before is answered as it was then, whatever its body.
pub async fn schedule(
    events: DelayedEvents,
    requester: Requester,
    uri: &Uri,
    request: ScheduleRequest,
    content: Result<CanonicalJsonObject, ApiError>,
) -> Result<JsonResponse<Value>, ApiError> {
    let dated_ms = massaged_timestamp(&requester, uri)?;
    let sticky_ms = sticky_duration(uri)?;
    let id = blocking::run(move || {
        if let Some(transaction) = &request.transaction
            && let Some(id) = events.scheduled_before(transaction)?
        {
            return Ok::<_, ApiError>(id);
        }
        let content = content?;
        refuse_invites(&request, &content)?;
        Ok(events.schedule(NewDelayedEvent {
            room_id: request.room_id,
            sender: requester.user_id,
            user: requester.user,
            event_type: request.event_type,
            state_key: request.state_key,
            content,
            delay_ms: request.delay_ms,
            dated_ms,
            sticky_ms,
            transaction: request.transaction,
        })?)
    })
    .await?;
    Ok(JsonResponse(json!({ "delay_id": id.to_string() })))
}

/// An invite may need another server's signature, which can't be had later.
fn refuse_invites(request: &ScheduleRequest, content: &CanonicalJsonObject) -> Result<(), ApiError> {
    let membership = content.get("membership").and_then(CanonicalJsonValue::as_str);
    if request.event_type == "m.room.member" && membership == Some("invite") {
        return Err(ApiError::forbidden("An invite can't be sent later"));
    }
    Ok(())
}
