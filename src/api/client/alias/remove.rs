//! `DELETE /directory/room/{roomAlias}`: takes an alias from a room.

use axum::extract::State;
use ruma::api::client::alias::delete_alias::v3::{Request, Response};

use super::create::check_reserved;
use crate::{
    api::{ApiError, ApiResult, Ruma, RumaResponse, authentication::Requester, blocking},
    rooms::{Aliases, EventSender, Viewer},
    users::Sessions,
};

/// The handler.
pub async fn remove(
    State(aliases): State<Aliases>,
    State(sender): State<EventSender>,
    State(sessions): State<Sessions>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    check_reserved(&sessions, &requester, &request.room_alias)?;
    let remover = Viewer::from(requester);
    blocking::run(move || {
        let room_id = aliases.remove(&remover, &request.room_alias)?;
        Ok::<_, ApiError>(sender.withdraw_alias(&room_id, &remover.user_id, &request.room_alias)?)
    })
    .await?;
    Ok(RumaResponse(Response::new()))
}
