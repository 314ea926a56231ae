//! `POST /join/{roomIdOrAlias}`: joins a room by its id or an alias.

use axum::extract::State;
use ruma::api::client::membership::join_room_by_id_or_alias::v3::{Request, Response};

use super::{further_content::WithFurther, named_room};
use crate::{
    api::{ApiError, ApiResult, Requester, RumaResponse, blocking},
    rooms::{Aliases, Memberships},
};

/// The handler.
pub async fn join(
    State(memberships): State<Memberships>,
    State(aliases): State<Aliases>,
    requester: Requester,
    WithFurther(request, further): WithFurther<Request>,
) -> ApiResult<Response> {
    let room_id = blocking::run(move || {
        let room_id = named_room(&aliases, request.room_id_or_alias)?;
        memberships.join_with(&requester.user_id, &room_id, further)?;
        Ok::<_, ApiError>(room_id)
    })
    .await?;
    Ok(RumaResponse(Response::new(room_id)))
}
