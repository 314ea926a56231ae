//! `PUT /invite/{roomId}/{eventId}`: a user elsewhere invites one here. Answered with the event, signed by this
//! server too.

use std::sync::Arc;

use axum::extract::State;
use ruma::{
    OwnedUserId, RoomVersionId,
    api::federation::membership::{
        RawStrippedState,
        create_invite::v2::{Request, Response},
        create_leave_event,
    },
};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::raw_pdu;
use crate::{
    api::{ApiError, ApiResult, RumaResponse, federation::Signed, json::JsonResponse},
    federation::joins::{IncomingInvite, IncomingInvites},
    net::{Action, Caller, RateLimiter},
};

/// Counts an invite of the user whom the event names: one server's users are many, and each invite is kept. One too
/// many is forbidden: on a 429, servers leave the whole of this one alone.
fn count(limiter: &RateLimiter, pdu: &RawValue) -> Result<(), ApiError> {
    #[derive(Deserialize)]
    struct Target {
        state_key: OwnedUserId,
    }
    match serde_json::from_str::<Target>(pdu.get()) {
        Ok(Target { state_key }) => limiter
            .check(Action::Invite, Caller::Target(&state_key))
            .map_err(|exceeded| ApiError::forbidden(exceeded.to_string())),
        // It invites nobody, and is refused for that.
        Err(_) => Ok(()),
    }
}

/// Version 2.
pub async fn invite(
    State(invites): State<IncomingInvites>,
    State(limiter): State<Arc<RateLimiter>>,
    Signed { origin, request }: Signed<Request>,
) -> ApiResult<Response> {
    let Request { room_id, event_id, room_version, event, invite_room_state, .. } = request;
    let (version, pdu, state) = (room_version, event, invite_room_state);
    count(&limiter, &pdu)?;
    let invite = IncomingInvite { origin, room_id, event_id, version, pdu, state };
    let signed = invites.accept(invite).await?;
    Ok(RumaResponse(Response::new(raw_pdu(&signed)?)))
}

/// What version 1 sends with the event.
#[derive(Deserialize, Default)]
#[serde(default)]
struct WithState {
    unsigned: Unsigned,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Unsigned {
    invite_room_state: Vec<RawStrippedState>,
}

/// Version 1, for rooms of versions 1 and 2: the event itself is the body, and the answer is a list. Its request
/// has the form of one by which a user leaves.
pub async fn invite_v1(
    State(invites): State<IncomingInvites>,
    State(limiter): State<Arc<RateLimiter>>,
    Signed { origin, request }: Signed<create_leave_event::v2::Request>,
) -> Result<JsonResponse<Value>, ApiError> {
    let create_leave_event::v2::Request { room_id, event_id, pdu, .. } = request;
    count(&limiter, &pdu)?;
    let state = serde_json::from_str::<WithState>(pdu.get()).unwrap_or_default().unsigned.invite_room_state;
    let version = RoomVersionId::V1;
    let signed = invites.accept(IncomingInvite { origin, room_id, event_id, version, pdu, state }).await?;
    Ok(JsonResponse(json!([200, { "event": raw_pdu(&signed)? }])))
}
