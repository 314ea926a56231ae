//! `POST /get_missing_events/{roomId}`: the events between those that a server has and one that it was sent.

use axum::extract::State;
use ruma::api::federation::event::get_missing_events::v1::{Request, Response};

use super::raw_pdus;
use crate::{
    api::{ApiError, ApiResult, RumaResponse, blocking, federation::Signed},
    rooms::{Resident, resident::MissingEventsQuery},
};

/// The handler.
pub async fn missing_events(
    State(resident): State<Resident>,
    Signed { origin, request }: Signed<Request>,
) -> ApiResult<Response> {
    let work = move || {
        let view = resident.member(&origin, &request.room_id)?;
        let query = MissingEventsQuery {
            earliest: &request.earliest_events,
            latest: &request.latest_events,
            limit: usize::try_from(request.limit).unwrap_or(usize::MAX),
            min_depth: request.min_depth.into(),
        };
        Ok::<_, ApiError>(Response::new(raw_pdus(&view.missing_events(&query)?)?))
    };
    blocking::run(work).await.map(RumaResponse)
}
