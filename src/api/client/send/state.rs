//! `PUT /rooms/{roomId}/state/{eventType}/{stateKey}`: sets a state event.

use std::sync::Arc;

use axum::extract::{Path, State};
use http::Uri;
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue,
    api::client::state::send_state_event::v3::{Request, Response},
};

use super::{EventTypePath, content, massaged_timestamp};
use crate::{
    api::{ApiResult, Requester, Ruma, RumaResponse, blocking},
    net::{Action, Caller, RateLimiter},
    rooms::{EventSender, sending::StateEvent},
};

/// The handler.
pub async fn put(
    State(sender): State<EventSender>,
    State(limiter): State<Arc<RateLimiter>>,
    requester: Requester,
    uri: Uri,
    Path(EventTypePath { event_type }): Path<EventTypePath>,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let content = content(&request.body)?;
    if requester.is_rate_limited() {
        limiter.check(counts_as(&event_type, &content), Caller::User(&requester.user_id))?;
    }
    let at_ms = massaged_timestamp(&requester, &uri)?;
    let event = StateEvent { event_type, state_key: request.state_key, content, at_ms };
    let event_id =
        blocking::run(move || sender.put_state(&request.room_id, &requester.user_id, event)).await?;
    Ok(RumaResponse(Response::new(event_id)))
}

/// What setting a state event counts as: an invite or a join is one by this way too.
fn counts_as(event_type: &str, content: &CanonicalJsonObject) -> Action {
    let membership = content.get("membership").and_then(CanonicalJsonValue::as_str);
    match (event_type, membership) {
        ("m.room.member", Some("invite")) => Action::Invite,
        ("m.room.member", Some("join" | "knock")) => Action::Join,
        _ => Action::Message,
    }
}
