//! `GET /room_summary/{roomIdOrAlias}`: what is told of a room to who may join it or see it.

use axum::extract::State;
use ruma::{
    OwnedRoomId, RoomAliasId,
    api::client::room::get_summary::v1::{Request, Response},
};

use crate::{
    api::{ApiError, ApiResult, MaybeRequester, Ruma, RumaResponse, blocking},
    rooms::{Aliases, Spaces},
    storage::records::Membership,
};

/// The handler. Who is not logged in sees rooms that anybody may join, knock on or read.
pub async fn summary(
    State(spaces): State<Spaces>,
    State(aliases): State<Aliases>,
    MaybeRequester(requester): MaybeRequester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let work = move || {
        let unknown = || ApiError::not_found("Room not found");
        let named = request.room_id_or_alias.as_str();
        let room_id = match OwnedRoomId::try_from(named) {
            Ok(room_id) => room_id,
            Err(_) => {
                let alias = <&RoomAliasId>::try_from(named).map_err(|_| unknown())?;
                aliases.resolve(alias)?.0
            }
        };
        let summaries = spaces.summaries();
        let room = summaries.room(&room_id)?.ok_or_else(unknown)?;
        let user = requester.map(|requester| requester.user);
        if !summaries.is_shown_to(user, room)? {
            return Err(unknown());
        }
        let mut response = Response::new(summaries.summary(room)?.ok_or_else(unknown)?);
        if let Some(user) = user {
            let membership = summaries.membership(user, room)?.unwrap_or(Membership::Leave);
            response.membership = Some(membership.as_str().into());
        }
        Ok(response)
    };
    blocking::run(work).await.map(RumaResponse)
}
