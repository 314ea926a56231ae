//! `GET /make_leave/{roomId}/{userId}`: an event by which another server's user can leave, or decline an invite.

use axum::extract::State;
use ruma::api::federation::membership::prepare_leave_event::v1::{Request, Response};

use crate::{
    api::{ApiError, ApiResult, RumaResponse, blocking, federation::Signed},
    rooms::{Resident, resident::TemplateKind},
};

/// The handler.
pub async fn make_leave(
    State(resident): State<Resident>,
    Signed { origin, request }: Signed<Request>,
) -> ApiResult<Response> {
    let work = move || {
        let kind = TemplateKind::Leave;
        let template = resident.template(kind, &origin, &request.room_id, &request.user_id, None)?;
        Ok::<_, ApiError>(RumaResponse(Response::new(Some(template.version), template.event)))
    };
    blocking::run(work).await
}
