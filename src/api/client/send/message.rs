//! `PUT /rooms/{roomId}/send/{eventType}/{txnId}`: sends an event that is not state.

use axum::extract::{Path, State};
use http::Uri;
use ruma::api::client::message::send_message_event::v3::{Request, Response};

use super::{EventTypePath, content, massaged_timestamp, transaction};
use crate::{
    api::{ApiResult, Requester, Ruma, RumaResponse, blocking},
    rooms::{EventSender, sending::Message},
    users::Presence,
};

/// The handler.
pub async fn send(
    State(sender): State<EventSender>,
    State(presence): State<Presence>,
    requester: Requester,
    uri: Uri,
    Path(EventTypePath { event_type }): Path<EventTypePath>,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let path = format!("send/{}/{event_type}", request.room_id);
    let transaction = transaction(&requester, path, &request.txn_id);
    let at_ms = massaged_timestamp(&requester, &uri)?;
    let message = Message { event_type, content: content(&request.body)?, at_ms };
    presence.acted(requester.user, &requester.device_id);
    let event_id =
        blocking::run(move || sender.send(&request.room_id, &requester.user_id, message, &transaction))
            .await?;
    Ok(RumaResponse(Response::new(event_id)))
}
