//! `GET /make_join/{roomId}/{userId}`: an event by which another server's user can join.

use axum::extract::State;
use ruma::api::federation::membership::prepare_join_event::v1::{Request, Response};

use crate::{
    api::{ApiError, ApiResult, RumaResponse, blocking, federation::Signed},
    rooms::{Resident, resident::TemplateKind},
};

/// The handler.
pub async fn make_join(
    State(resident): State<Resident>,
    Signed { origin, request }: Signed<Request>,
) -> ApiResult<Response> {
    let work = move || {
        let versions = Some(&*request.ver);
        let kind = TemplateKind::Join;
        let template = resident.template(kind, &origin, &request.room_id, &request.user_id, versions)?;
        let mut response = Response::new(template.event);
        response.room_version = Some(template.version);
        Ok::<_, ApiError>(RumaResponse(response))
    };
    blocking::run(work).await
}
