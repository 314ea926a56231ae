//! `GET /timestamp_to_event/{roomId}`: the event nearest to a time.

use axum::extract::State;
use ruma::{
    MilliSecondsSinceUnixEpoch, UInt,
    api::federation::event::get_event_by_timestamp::v1::{Request, Response},
};

use crate::{
    api::{ApiError, ApiResult, RumaResponse, blocking, federation::Signed},
    rooms::{EventTimes, Resident},
};

/// The handler.
pub async fn event_by_time(
    State(resident): State<Resident>,
    State(times): State<EventTimes>,
    Signed { origin, request }: Signed<Request>,
) -> ApiResult<Response> {
    let work = move || {
        let view = resident.member(&origin, &request.room_id)?;
        let found = times.nearest_for_server(&view, request.ts.get().into(), request.dir)?;
        let event = found.ok_or_else(|| ApiError::not_found("There is no such event"))?.event;
        let sent_at = MilliSecondsSinceUnixEpoch(UInt::new_saturating(event.origin_server_ts()));
        Ok::<_, ApiError>(Response::new(event.event_id().to_owned(), sent_at))
    };
    blocking::run(work).await.map(RumaResponse)
}
