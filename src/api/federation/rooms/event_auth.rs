//! `GET /event_auth/{roomId}/{eventId}`: the auth chain of an event.

use axum::extract::State;
use ruma::api::federation::authorization::get_event_authorization::v1::Request;

use super::pdu_stream::PduStream;
use crate::{
    api::{ApiError, blocking, federation::Signed},
    rooms::Resident,
};

/// The handler.
pub async fn event_auth(
    State(resident): State<Resident>,
    Signed { origin, request }: Signed<Request>,
) -> Result<PduStream, ApiError> {
    let work = move || {
        let chain = resident.event_auth(&origin, &request.room_id, &request.event_id)?;
        Ok::<_, ApiError>(PduStream::new(resident).events("auth_chain", chain))
    };
    blocking::run(work).await
}
