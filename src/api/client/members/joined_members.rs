//! `GET /rooms/{roomId}/joined_members`: the joined members with their names, for members.

use axum::extract::State;
use ruma::api::client::membership::joined_members::v3::{Request, Response, RoomMember};

use crate::{
    api::{ApiResult, Ruma, RumaResponse, authentication::Requester, blocking},
    rooms::{MemberNames, Members, ReadError, Viewer, Visibility},
};

/// The handler.
pub async fn joined_members(
    State(visibility): State<Visibility>,
    State(members): State<Members>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let viewer = Viewer::from(requester);
    let work = move || {
        let view = visibility.joined(&viewer, &request.room_id)?;
        Ok::<_, ReadError>(members.joined(&view)?)
    };
    let joined = blocking::run(work).await?;
    let joined = joined.into_iter().map(|(user_id, names)| (user_id, member(names)));
    Ok(RumaResponse(Response::new(joined.collect())))
}

fn member(names: MemberNames) -> RoomMember {
    let mut member = RoomMember::new();
    member.display_name = names.display_name;
    member.avatar_url = names.avatar_url.map(Into::into);
    member
}
