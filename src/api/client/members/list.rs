//! `GET /rooms/{roomId}/members`: a room's member events, now or at a token.

use axum::extract::State;
use ruma::{
    api::client::membership::get_member_events::v3::{Request, Response},
    events::room::member::MembershipState,
};

use crate::{
    api::{ApiError, ApiResult, Ruma, RumaResponse, authentication::Requester, blocking},
    rooms::{ClientEvents, EventForm, Members, MembershipFilter, ReadError, Viewer, Visibility},
    storage::records::Membership,
};

/// The handler.
pub async fn list(
    State(visibility): State<Visibility>,
    State(members): State<Members>,
    State(client_events): State<ClientEvents>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let wanted = MembershipFilter {
        is: known(request.membership.as_ref())?,
        is_not: known(request.not_membership.as_ref())?,
    };
    let viewer = Viewer::from(requester);
    let work = move || {
        let view = visibility.reader(&viewer, &request.room_id)?;
        let at = request.at.as_deref().map(str::parse).transpose()?;
        let events = members.list(&view, at, wanted)?;
        Ok::<_, ReadError>(Response::new(client_events.write_all(&view, &events, EventForm::STATE)?))
    };
    blocking::run(work).await.map(RumaResponse)
}

fn known(membership: Option<&MembershipState>) -> Result<Option<Membership>, ApiError> {
    let Some(membership) = membership else { return Ok(None) };
    match Membership::of(membership) {
        Some(membership) => Ok(Some(membership)),
        None => Err(ApiError::invalid_param(format!("`{membership}` is not a membership"))),
    }
}
