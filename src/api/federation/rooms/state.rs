//! `GET /state/{roomId}`: the state before an event, with its auth chain, sent while it is read.

use axum::extract::State;
use ruma::api::federation::event::get_room_state::v1::Request;

use super::pdu_stream::PduStream;
use crate::{
    api::{ApiError, blocking, federation::Signed},
    rooms::Resident,
};

/// The handler.
pub async fn state(
    State(resident): State<Resident>,
    Signed { origin, request }: Signed<Request>,
) -> Result<PduStream, ApiError> {
    let work = move || {
        let at = resident.state_before(&origin, &request.room_id, &request.event_id)?;
        Ok::<_, ApiError>(
            PduStream::new(resident).events("auth_chain", at.auth_chain).events("pdus", at.state),
        )
    };
    blocking::run(work).await
}
