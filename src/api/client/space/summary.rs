//! `GET /room_summary/{roomIdOrAlias}`: what is told of a room to who may join it or see it. Users of this server
//! are told of rooms that it is not in, too, by the servers that are.

use axum::extract::{FromRef, State};
use ruma::{
    OwnedRoomAliasId, OwnedRoomId, OwnedServerName, RoomOrAliasId,
    api::client::room::get_summary::v1::{Request, Response},
};

use crate::{
    api::{
        ApiError, ApiResult, ApiState, MaybeRequester, Ruma, RumaResponse, blocking, own_aliases::OwnAliases,
    },
    federation::{RemoteRooms, RemoteSpaces},
    rooms::{RoomError, RoomSummaries, Spaces},
    storage::{ShortUserId, records::Membership},
};

/// Finds out what a room's name stands for, and who knows it.
#[derive(Clone)]
pub struct Finding {
    spaces: Spaces,
    aliases: OwnAliases,
    remote_rooms: RemoteRooms,
    remote_spaces: RemoteSpaces,
}

impl FromRef<ApiState> for Finding {
    fn from_ref(state: &ApiState) -> Self {
        Self {
            spaces: state.rooms.spaces.clone(),
            aliases: OwnAliases::from_ref(state),
            remote_rooms: state.federation.remote_rooms.clone(),
            remote_spaces: state.federation.remote_spaces.clone(),
        }
    }
}

/// The handler. Who is not logged in sees rooms of this server that anybody may join, knock on or read.
pub async fn summary(
    State(finding): State<Finding>,
    MaybeRequester(requester): MaybeRequester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let user = requester.map(|requester| requester.user);
    let (room_id, mut via) = finding.room(&request.room_id_or_alias, user).await?;
    via.extend(request.via);
    let (spaces, wanted) = (finding.spaces.clone(), room_id.clone());
    let known = blocking::run(move || known_summary(spaces.summaries(), user, &wanted)).await?;
    if let Some(response) = known {
        return Ok(RumaResponse(response));
    }
    let Some(user) = user else { return Err(unknown()) };
    let told = finding.remote_spaces.hierarchy(&room_id, &via).await.ok_or_else(unknown)?;
    let summaries = finding.spaces.summaries().clone();
    let work = move || {
        let summary = &told.room.summary;
        if !summaries.is_foreign_shown_to(user, summary)? {
            return Err(unknown());
        }
        let mut response = Response::new(summary.clone());
        let room = summaries.room(&summary.room_id)?;
        let membership = room.map(|room| summaries.membership(user, room)).transpose()?.flatten();
        response.membership = Some(membership.unwrap_or(Membership::Leave).as_str().into());
        Ok(response)
    };
    blocking::run(work).await.map(RumaResponse)
}

impl Finding {
    /// The room, and servers that are said to be in it. Other servers are asked for users only.
    async fn room(
        &self,
        named: &RoomOrAliasId,
        user: Option<ShortUserId>,
    ) -> Result<(OwnedRoomId, Vec<OwnedServerName>), ApiError> {
        if let Ok(room_id) = OwnedRoomId::try_from(named.as_str()) {
            return Ok((room_id, Vec::new()));
        }
        let alias = OwnedRoomAliasId::try_from(named.as_str()).map_err(|_| unknown())?;
        if self.remote_rooms.is_own_alias(&alias) {
            return self.aliases.resolve(alias).await.map(|found| (found.0, Vec::new()));
        }
        match user {
            Some(_) => Ok(self.remote_rooms.resolve_alias(alias).await?),
            None => Err(unknown()),
        }
    }
}

fn unknown() -> ApiError {
    ApiError::not_found("Room not found")
}

/// The summary of a room that this server knows and the user may know of.
fn known_summary(
    summaries: &RoomSummaries,
    user: Option<ShortUserId>,
    room_id: &OwnedRoomId,
) -> Result<Option<Response>, RoomError> {
    let Some(room) = summaries.room(room_id)? else { return Ok(None) };
    if !summaries.is_shown_to(user, room)? {
        return Ok(None);
    }
    let Some(summary) = summaries.summary(room)? else { return Ok(None) };
    let mut response = Response::new(summary);
    if let Some(user) = user {
        let membership = summaries.membership(user, room)?.unwrap_or(Membership::Leave);
        response.membership = Some(membership.as_str().into());
    }
    Ok(Some(response))
}
