//! `PUT /rooms/{roomId}/send/{eventType}/{txnId}`: sends an event that is not state.

use axum::{
    extract::State,
    response::{IntoResponse, Response as HttpResponse},
};
use http::Uri;
use ruma::{
    OwnedRoomId, OwnedTransactionId,
    api::client::message::send_message_event::v3::{Request, Response},
};
use serde::Deserialize;

use super::{content, massaged_timestamp, sticky_duration, transaction};
use crate::{
    api::{
        ApiError, PathArguments, Requester, Ruma, RumaResponse, blocking,
        client::delayed::{Delay, ScheduleRequest, schedule},
    },
    rooms::{DelayedEvents, EventSender, sending::Message},
    users::Presence,
};

/// The path; ruma's types know some event types by another name.
#[derive(Debug, Deserialize)]
pub struct SendPath {
    room_id: OwnedRoomId,
    event_type: String,
    txn_id: OwnedTransactionId,
}

/// The handler. With a delay (MSC4140) the event is scheduled.
pub async fn send(
    State(sender): State<EventSender>,
    State(delayed): State<DelayedEvents>,
    State(presence): State<Presence>,
    requester: Requester,
    Delay(delay_ms): Delay,
    uri: Uri,
    PathArguments(SendPath { room_id, event_type, txn_id }): PathArguments<SendPath>,
    request: Result<Ruma<Request>, ApiError>,
) -> Result<HttpResponse, ApiError> {
    let path = format!("send/{room_id}/{event_type}");
    let transaction = transaction(&requester, path, &txn_id);
    let content = request.and_then(|Ruma(request)| content(&request.body));
    if let Some(delay_ms) = delay_ms {
        let transaction = Some(transaction);
        let request = ScheduleRequest { room_id, event_type, state_key: None, delay_ms, transaction };
        return Ok(schedule(delayed, requester, &uri, request, content).await?.into_response());
    }
    let at_ms = massaged_timestamp(&requester, &uri)?;
    let sticky_ms = sticky_duration(&uri)?;
    let message = Message { event_type, content: content?, at_ms, sticky_ms };
    presence.acted(requester.user, &requester.device_id);
    let event_id =
        blocking::run(move || sender.send(&room_id, &requester.user_id, message, &transaction)).await?;
    Ok(RumaResponse(Response::new(event_id)).into_response())
}
