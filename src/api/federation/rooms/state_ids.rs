//! `GET /state_ids/{roomId}`: the ids of the state before an event and of its auth chain.

use axum::extract::State;
use ruma::api::federation::event::get_room_state_ids::v1::{Request, Response};

use crate::{
    api::{ApiError, ApiResult, RumaResponse, blocking, federation::Signed},
    rooms::Resident,
};

/// The handler.
pub async fn state_ids(
    State(resident): State<Resident>,
    Signed { origin, request }: Signed<Request>,
) -> ApiResult<Response> {
    let work = move || {
        let at = resident.state_before(&origin, &request.room_id, &request.event_id)?;
        let auth_chain = resident.event_ids(&at.auth_chain)?;
        Ok::<_, ApiError>(Response::new(auth_chain, resident.event_ids(&at.state)?))
    };
    blocking::run(work).await.map(RumaResponse)
}
