//! `GET /rooms/{roomId}/timestamp_to_event`: the event nearest to a time. For a time before what this server has of
//! the room, other servers in it are asked for some of what lies before.

use axum::extract::State;
use ruma::{
    MilliSecondsSinceUnixEpoch, UInt,
    api::client::room::get_event_by_timestamp::v1::{Request, Response},
};

use crate::{
    api::{ApiResult, Requester, Ruma, RumaResponse, blocking, limits},
    federation::IncomingPdus,
    rooms::{EventTimes, ReadError, Viewer, Visibility},
};

/// The handler.
pub async fn event_by_time(
    State(visibility): State<Visibility>,
    State(times): State<EventTimes>,
    State(incoming_pdus): State<IncomingPdus>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let viewer = Viewer::from(requester);
    let time_ms = u64::from(request.ts.get());
    let room_id = request.room_id.clone();
    let (known, reader, asked) = (times.clone(), visibility.clone(), (viewer.clone(), room_id.clone()));
    let begins_after = move || {
        let view = reader.reader(&asked.0, &asked.1)?;
        Ok::<_, ReadError>(known.earliest(view.room())?.is_some_and(|earliest| earliest > time_ms))
    };
    for _ in 0..limits::HISTORY_PAGES_FOR_TIME_MAX {
        if !blocking::run(begins_after.clone()).await? || !incoming_pdus.fetch_history(&room_id).await {
            break;
        }
    }
    let work = move || {
        let view = visibility.reader(&viewer, &request.room_id)?;
        let event = times.nearest(&view, time_ms, request.dir)?;
        let sent_at = MilliSecondsSinceUnixEpoch(UInt::new_saturating(event.event().origin_server_ts()));
        Ok::<_, ReadError>(Response::new(event.event().event_id().to_owned(), sent_at))
    };
    blocking::run(work).await.map(RumaResponse)
}
