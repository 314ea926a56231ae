//! `GET /make_knock/{roomId}/{userId}`: an event by which another server's user can ask to be let in.

use axum::extract::State;
use ruma::api::federation::membership::prepare_knock_event::v1::{Request, Response};

use crate::{
    api::{ApiError, ApiResult, RumaResponse, blocking, federation::Signed},
    rooms::{Resident, resident::TemplateKind},
};

/// The handler.
pub async fn make_knock(
    State(resident): State<Resident>,
    Signed { origin, request }: Signed<Request>,
) -> ApiResult<Response> {
    let work = move || {
        let (kind, versions) = (TemplateKind::Knock, Some(&*request.ver));
        let template = resident.template(kind, &origin, &request.room_id, &request.user_id, versions)?;
        let response = Response::new(template.version, template.event);
        Ok::<_, ApiError>(RumaResponse(response))
    };
    blocking::run(work).await
}
