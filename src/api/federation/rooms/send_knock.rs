//! `PUT /send_knock/{roomId}/{eventId}`: another server's user asks to be let in.

use axum::extract::State;
use ruma::api::federation::membership::{
    RawStrippedState,
    create_knock_event::v1::{Request, Response},
};

use super::raw_pdu;
use crate::{
    api::{ApiError, ApiResult, RumaResponse, federation::Signed},
    federation::joins::{Admissions, SubmittedEvent},
};

/// The handler.
pub async fn send_knock(
    State(admissions): State<Admissions>,
    Signed { origin, request }: Signed<Request>,
) -> ApiResult<Response> {
    let Request { room_id, event_id, pdu, .. } = request;
    let state = admissions.knock(SubmittedEvent { origin, room_id, event_id, pdu }).await?;
    let state = state.iter().map(|event| Ok::<_, ApiError>(RawStrippedState::Pdu(raw_pdu(event)?)));
    Ok(RumaResponse(Response::new(state.collect::<Result<_, _>>()?)))
}
