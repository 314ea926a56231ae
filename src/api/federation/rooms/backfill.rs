//! `GET /backfill/{roomId}`: events and those before them.

use axum::extract::State;
use ruma::{
    MilliSecondsSinceUnixEpoch,
    api::federation::backfill::get_backfill::v1::{Request, Response},
};

use super::raw_pdus;
use crate::{
    api::{ApiError, ApiResult, RumaResponse, blocking, federation::Signed},
    rooms::Resident,
};

/// The handler.
pub async fn backfill(
    State(resident): State<Resident>,
    Signed { origin, request }: Signed<Request>,
) -> ApiResult<Response> {
    let work = move || {
        let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
        let view = resident.member(&origin, &request.room_id)?;
        let pdus = raw_pdus(&view.backfill(&request.v, limit)?)?;
        let server_name = resident.server_name().to_owned();
        Ok::<_, ApiError>(Response::new(server_name, MilliSecondsSinceUnixEpoch::now(), pdus))
    };
    blocking::run(work).await.map(RumaResponse)
}
