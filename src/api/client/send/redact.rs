//! `PUT /rooms/{roomId}/redact/{eventId}/{txnId}`: removes the content of an event.

use axum::extract::State;
use ruma::api::client::redact::redact_event::v3::{Request, Response};

use super::transaction;
use crate::{
    api::{ApiError, ApiResult, Requester, Ruma, RumaResponse, blocking},
    rooms::EventSender,
    users::UserError,
};

/// The handler.
pub async fn redact(
    State(sender): State<EventSender>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let path = format!("redact/{}/{}", request.room_id, request.event_id);
    let transaction = transaction(&requester, path, &request.txn_id);
    let event_id = blocking::run(move || {
        let (room_id, target) = (&request.room_id, &request.event_id);
        if requester.is_suspended && !sender.has_sent(&requester.user_id, target)? {
            return Err(UserError::Suspended.into());
        }
        Ok::<_, ApiError>(sender.redact(room_id, &requester.user_id, target, request.reason, &transaction)?)
    })
    .await?;
    Ok(RumaResponse(Response::new(event_id)))
}
