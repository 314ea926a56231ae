//! `PUT /send_leave/{roomId}/{eventId}`: another server's user leaves, or declines an invite.

use axum::extract::State;
use ruma::api::federation::membership::create_leave_event::v2::{Request, Response};
use serde_json::{Value, json};

use crate::{
    api::{ApiError, ApiResult, RumaResponse, federation::Signed, json::JsonResponse},
    federation::joins::{Admissions, SubmittedEvent},
};

/// Version 2.
pub async fn send_leave(
    State(admissions): State<Admissions>,
    Signed { origin, request }: Signed<Request>,
) -> ApiResult<Response> {
    let Request { room_id, event_id, pdu, .. } = request;
    admissions.leave(SubmittedEvent { origin, room_id, event_id, pdu }).await?;
    Ok(RumaResponse(Response::new()))
}

/// Version 1, whose answer is a list.
pub async fn send_leave_v1(
    admissions: State<Admissions>,
    request: Signed<Request>,
) -> Result<JsonResponse<Value>, ApiError> {
    send_leave(admissions, request).await?;
    Ok(JsonResponse(json!([200, {}])))
}
