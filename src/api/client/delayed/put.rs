//! `PUT …/rooms/{roomId}/delayed_event/{eventType}/{txnId}`: an event that is to be sent later.

use axum::extract::State;
use http::Uri;
use ruma::{OwnedRoomId, OwnedTransactionId};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{ScheduleRequest, schedule};
use crate::{
    api::{
        ApiError, PathArguments, Requester,
        client::send::{parse_content, transaction},
        json::{JsonBody, JsonResponse},
    },
    rooms::DelayedEvents,
};

/// The body. ruma's type knows the delay only by its former name.
#[derive(Debug, Deserialize)]
pub struct Body {
    #[serde(alias = "delay")]
    delay_ms: u64,
    state_key: Option<String>,
    content: Box<RawValue>,
}

/// The handler.
pub async fn put(
    State(events): State<DelayedEvents>,
    requester: Requester,
    uri: Uri,
    PathArguments((room_id, event_type, txn_id)): PathArguments<(OwnedRoomId, String, OwnedTransactionId)>,
    JsonBody(body): JsonBody<Body>,
) -> Result<JsonResponse<Value>, ApiError> {
    let path = format!("delayed_event/{room_id}/{event_type}");
    let transaction = Some(transaction(&requester, path, &txn_id));
    let request = ScheduleRequest {
        room_id,
        event_type,
        state_key: body.state_key,
        delay_ms: body.delay_ms,
        transaction,
    };
    schedule(events, requester, &uri, request, parse_content(&body.content)).await
}
