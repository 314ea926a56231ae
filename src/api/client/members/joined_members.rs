//! `GET /rooms/{roomId}/joined_members`: the joined members with their names, for members.

use std::collections::BTreeMap;

use axum::extract::State;
use ruma::{OwnedUserId, api::client::membership::joined_members::v3::Request};
use serde::Serialize;

use crate::{
    api::{ApiError, Ruma, authentication::Requester, blocking, json::JsonResponse},
    rooms::{MemberNames, Members, ReadError, Viewer, Visibility},
};

/// The answer. Unlike in ruma's type, a member without a name or picture has it as null: clients read the
/// keys without asking whether they are there.
#[derive(Debug, Serialize)]
pub struct Joined {
    /// By user.
    pub joined: BTreeMap<OwnedUserId, Member>,
}

/// What the room calls a member.
#[derive(Debug, Serialize)]
pub struct Member {
    /// The display name.
    pub display_name: Option<String>,
    /// The avatar.
    pub avatar_url: Option<String>,
}

impl From<MemberNames> for Member {
    fn from(names: MemberNames) -> Self {
        Self { display_name: names.display_name, avatar_url: names.avatar_url }
    }
}

/// The handler.
pub async fn joined_members(
    State(visibility): State<Visibility>,
    State(members): State<Members>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> Result<JsonResponse<Joined>, ApiError> {
    let viewer = Viewer::from(requester);
    let work = move || {
        let view = visibility.joined(&viewer, &request.room_id)?;
        Ok::<_, ReadError>(members.joined(&view)?)
    };
    let joined = blocking::run(work).await?;
    let joined = joined.into_iter().map(|(user_id, names)| (user_id, names.into())).collect();
    Ok(JsonResponse(Joined { joined }))
}
