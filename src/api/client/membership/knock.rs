//! `POST /knock/{roomIdOrAlias}`: asks to be let into a room.

use axum::extract::State;
use ruma::api::client::knock::knock_room::v3::{Request, Response};

use super::named_room;
use crate::{
    api::{ApiError, ApiResult, Requester, Ruma, RumaResponse, blocking},
    rooms::{Aliases, Memberships},
};

/// The handler.
pub async fn knock(
    State(memberships): State<Memberships>,
    State(aliases): State<Aliases>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let room_id = blocking::run(move || {
        let room_id = named_room(&aliases, request.room_id_or_alias)?;
        memberships.knock(&requester.user_id, &room_id, request.reason.as_deref())?;
        Ok::<_, ApiError>(room_id)
    })
    .await?;
    Ok(RumaResponse(Response::new(room_id)))
}
