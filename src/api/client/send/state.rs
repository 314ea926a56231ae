//! `PUT /rooms/{roomId}/state/{eventType}/{stateKey}`: sets a state event.

use axum::extract::{Path, State};
use ruma::api::client::state::send_state_event::v3::{Request, Response};

use super::{EventTypePath, content};
use crate::{
    api::{ApiResult, Requester, Ruma, RumaResponse, blocking},
    rooms::EventSender,
};

/// The handler.
pub async fn put(
    State(sender): State<EventSender>,
    requester: Requester,
    Path(EventTypePath { event_type }): Path<EventTypePath>,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let content = content(&request.body)?;
    let event_id = blocking::run(move || {
        sender.put_state(&request.room_id, &requester.user_id, &event_type, &request.state_key, content)
    })
    .await?;
    Ok(RumaResponse(Response::new(event_id)))
}
