//! `PUT /rooms/{roomId}/state/{eventType}/{stateKey}`: sets a state event.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Response as HttpResponse},
};
use http::Uri;
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, OwnedUserId,
    api::client::state::send_state_event::v3::{Request, Response},
};

use super::{EventTypePath, content, massaged_timestamp, sticky_duration};
use crate::{
    api::{
        ApiError, Requester, Ruma, RumaResponse, blocking,
        client::delayed::{Delay, ScheduleRequest, schedule},
    },
    federation::{RemoteRooms, joins::Invitation},
    net::{Action, RateLimiter},
    rooms::{DelayedEvents, EventSender, sending::StateEvent},
};

/// The handler. With a delay (MSC4140) the event is scheduled.
pub async fn put(
    State(sender): State<EventSender>,
    State(delayed): State<DelayedEvents>,
    State(rooms): State<RemoteRooms>,
    State(limiter): State<Arc<RateLimiter>>,
    requester: Requester,
    Delay(delay_ms): Delay,
    uri: Uri,
    Path(EventTypePath { event_type }): Path<EventTypePath>,
    Ruma(request): Ruma<Request>,
) -> Result<HttpResponse, ApiError> {
    let content = content(&request.body)?;
    requester.count(&limiter, counts_as(&event_type, &content))?;
    if let Some(delay_ms) = delay_ms {
        let (room_id, state_key) = (request.room_id, Some(request.state_key));
        let request = ScheduleRequest { room_id, event_type, state_key, delay_ms, transaction: None };
        return Ok(schedule(delayed, requester, &uri, request, Ok(content)).await?.into_response());
    }
    if let Some(target) = invited_elsewhere(&event_type, &request.state_key, &content, &rooms) {
        let (room_id, sender) = (request.room_id, requester.user_id);
        let invitation = Invitation { room_id, sender, target, reason: None, extra: content };
        let event_id = rooms.invite_elsewhere(invitation).await?;
        let is_so = || ApiError::forbidden("This user is invited already");
        return Ok(RumaResponse(Response::new(event_id.ok_or_else(is_so)?)).into_response());
    }
    let at_ms = massaged_timestamp(&requester, &uri)?;
    let sticky_ms = sticky_duration(&uri)?;
    let event = StateEvent { event_type, state_key: request.state_key, content, at_ms, sticky_ms };
    let event_id =
        blocking::run(move || sender.put_state(&request.room_id, &requester.user_id, event)).await?;
    Ok(RumaResponse(Response::new(event_id)).into_response())
}

/// The user of another server whom a member event invites: their server must sign it.
fn invited_elsewhere(
    event_type: &str,
    state_key: &str,
    content: &CanonicalJsonObject,
    rooms: &RemoteRooms,
) -> Option<OwnedUserId> {
    let membership = content.get("membership").and_then(CanonicalJsonValue::as_str);
    if event_type != "m.room.member" || membership != Some("invite") {
        return None;
    }
    OwnedUserId::try_from(state_key).ok().filter(|target| !rooms.is_local(target))
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
