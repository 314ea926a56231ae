//! Who is in a room.

pub(super) mod ban;
pub(super) mod forget;
mod further_content;
pub(super) mod invite;
pub(super) mod join;
pub(super) mod join_by_alias;
pub(super) mod kick;
pub(super) mod knock;
pub(super) mod leave;
pub(super) mod unban;

use ruma::{
    OwnedRoomAliasId, OwnedRoomId, OwnedRoomOrAliasId, OwnedServerName,
    api::client::{
        knock::knock_room,
        membership::{
            ban_user, forget_room, invite_user, join_room_by_id, join_room_by_id_or_alias, kick_user,
            leave_room, unban_user,
        },
    },
};

use crate::{
    api::{ApiError, client::alias::resolve::resolve_alias, own_aliases::OwnAliases, routes::Routes},
    federation::RemoteRooms,
    net::Action,
};

/// Adds the endpoints.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add_limited::<join_room_by_id::v3::Request, _, _>(Action::Join, join::join)
        .add_limited::<join_room_by_id_or_alias::v3::Request, _, _>(Action::Join, join_by_alias::join)
        .add::<leave_room::v3::Request, _, _>(leave::leave)
        .add::<forget_room::v3::Request, _, _>(forget::forget)
        .add_limited::<invite_user::v3::Request, _, _>(Action::Invite, invite::invite)
        .add::<kick_user::v3::Request, _, _>(kick::kick)
        .add::<ban_user::v3::Request, _, _>(ban::ban)
        .add::<unban_user::v3::Request, _, _>(unban::unban)
        .add_limited::<knock_room::v3::Request, _, _>(Action::Join, knock::knock)
}

/// The room that a path names, by its id or by an alias, and servers that are in it.
async fn named_room(
    rooms: &RemoteRooms,
    aliases: &OwnAliases,
    room: OwnedRoomOrAliasId,
    mut via: Vec<OwnedServerName>,
) -> Result<(OwnedRoomId, Vec<OwnedServerName>), ApiError> {
    if let Ok(room_id) = OwnedRoomId::try_from(room.as_str()) {
        return Ok((room_id, via));
    }
    let alias = OwnedRoomAliasId::try_from(room.as_str())
        .map_err(|_| ApiError::invalid_param(format!("{room} names no room")))?;
    let (room_id, servers) = resolve_alias(rooms, aliases, alias).await?;
    via.extend(servers);
    Ok((room_id, via))
}
