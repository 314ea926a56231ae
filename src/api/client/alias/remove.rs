//! `DELETE /directory/room/{roomAlias}`: takes an alias from a room.

use axum::extract::State;
use ruma::api::client::alias::delete_alias::v3::{Request, Response};

use crate::{
    api::{ApiError, ApiResult, Ruma, RumaResponse, authentication::Requester, blocking},
    rooms::{Aliases, EventSender, Viewer},
};

/// The handler.
pub async fn remove(
    State(aliases): State<Aliases>,
    State(sender): State<EventSender>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let remover = Viewer::from(requester);
    blocking::run(move || {
        let room_id = aliases.remove(&remover, &request.room_alias)?;
        Ok::<_, ApiError>(sender.withdraw_alias(&room_id, &remover.user_id, &request.room_alias)?)
    })
    .await?;
    Ok(RumaResponse(Response::new()))
}
