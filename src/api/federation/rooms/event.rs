//! `GET /event/{eventId}`: one event, for a server that may see it.

use axum::extract::State;
use ruma::{
    MilliSecondsSinceUnixEpoch,
    api::federation::event::get_event::v1::{Request, Response},
};

use super::raw_pdu;
use crate::{
    api::{ApiError, ApiResult, RumaResponse, blocking, federation::Signed},
    rooms::Resident,
};

/// The handler.
pub async fn event(
    State(resident): State<Resident>,
    Signed { origin, request }: Signed<Request>,
) -> ApiResult<Response> {
    let work = move || {
        let event = resident.event(&origin, &request.event_id)?;
        let server_name = resident.server_name().to_owned();
        Ok::<_, ApiError>(Response::new(server_name, MilliSecondsSinceUnixEpoch::now(), raw_pdu(&event)?))
    };
    blocking::run(work).await.map(RumaResponse)
}
