//! `PUT /send_join/{roomId}/{eventId}`: another server's user joins. Answered with the room's state, which is sent
//! while it is read.

use axum::extract::State;
use ruma::api::federation::membership::create_join_event::v2::Request;

use super::pdu_stream::PduStream;
use crate::{
    api::{ApiError, federation::Signed},
    federation::joins::{Admissions, SubmittedEvent},
};

/// Version 2.
pub async fn send_join(
    State(admissions): State<Admissions>,
    Signed { origin, request }: Signed<Request>,
) -> Result<PduStream, ApiError> {
    let Request { room_id, event_id, pdu, omit_members, .. } = request;
    let event = SubmittedEvent { origin, room_id, event_id, pdu };
    let join = admissions.join(event, omit_members).await?;
    let mut stream = PduStream::new(admissions.resident().clone());
    if let Some(servers) = &join.answer.servers_in_room {
        let servers = serde_json::to_string(servers).map_err(ApiError::internal)?;
        stream = stream.field("members_omitted", "true").field("servers_in_room", &servers);
    }
    if join.is_countersigned {
        stream = stream.field("event", join.answer.event.json());
    }
    Ok(stream.events("auth_chain", join.answer.auth_chain).events("state", join.answer.state))
}

/// Version 1, whose answer is a list.
pub async fn send_join_v1(
    admissions: State<Admissions>,
    mut request: Signed<Request>,
) -> Result<PduStream, ApiError> {
    request.request.omit_members = false;
    Ok(send_join(admissions, request).await?.enclosed())
}
