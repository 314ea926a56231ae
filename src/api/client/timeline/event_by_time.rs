//! `GET /rooms/{roomId}/timestamp_to_event`: the event nearest to a time.

use axum::extract::State;
use ruma::{
    MilliSecondsSinceUnixEpoch, UInt,
    api::client::room::get_event_by_timestamp::v1::{Request, Response},
};

use crate::{
    api::{ApiResult, Requester, Ruma, RumaResponse, blocking},
    rooms::{EventTimes, ReadError, Viewer, Visibility},
};

/// The handler.
pub async fn event_by_time(
    State(visibility): State<Visibility>,
    State(times): State<EventTimes>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let viewer = Viewer::from(requester);
    let work = move || {
        let view = visibility.reader(&viewer, &request.room_id)?;
        let event = times.nearest(&view, request.ts.get().into(), request.dir)?;
        let sent_at = MilliSecondsSinceUnixEpoch(UInt::new_saturating(event.event().origin_server_ts()));
        Ok::<_, ReadError>(Response::new(event.event().event_id().to_owned(), sent_at))
    };
    blocking::run(work).await.map(RumaResponse)
}
