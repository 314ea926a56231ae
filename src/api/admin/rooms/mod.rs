//! Rooms: lists, what is in them, blocking and deleting them.

mod block;
mod delete;
mod details;
mod list;
mod make_admin;
mod reading;

use axum::extract::FromRef;
use http::Method;
use ruma::{OwnedRoomId, RoomAliasId};

use crate::{
    api::{ApiError, ApiState, routes::Routes},
    rooms::{Aliases, RoomAdministration},
};

/// What finds a room by what stands in a path.
#[derive(Clone)]
pub struct RoomFinder {
    rooms: RoomAdministration,
    aliases: Aliases,
}

impl FromRef<ApiState> for RoomFinder {
    fn from_ref(state: &ApiState) -> Self {
        Self { rooms: state.rooms.room_administration.clone(), aliases: state.rooms.aliases.clone() }
    }
}

impl RoomFinder {
    /// The room behind an id, or behind an alias of this server.
    fn find(&self, text: &str) -> Result<OwnedRoomId, ApiError> {
        if text.starts_with('#') {
            let alias = <&RoomAliasId>::try_from(text).map_err(|_| not_an_id(text))?;
            return Ok(self.aliases.resolve(alias)?.0);
        }
        room_id(text)
    }
}

/// The room id in a path.
fn room_id(text: &str) -> Result<OwnedRoomId, ApiError> {
    OwnedRoomId::try_from(text).map_err(|_| not_an_id(text))
}

fn not_an_id(text: &str) -> ApiError {
    ApiError::invalid_param(format!("{text:?} is not a legal room id"))
}

/// Adds the endpoints of this folder.
pub fn routes(routes: Routes) -> Routes {
    let (get, post, put, delete) = (Method::GET, Method::POST, Method::PUT, Method::DELETE);
    let of = |rest: &str| format!("/_synapse/admin/v1/rooms/{{room_id}}{rest}");
    routes
        .add_at(get.clone(), "/_synapse/admin/v1/rooms", list::list)
        .add_at(get.clone(), &of(""), details::details)
        .add_at(get.clone(), &of("/members"), details::members)
        .add_at(get.clone(), &of("/state"), reading::state)
        .add_at(get.clone(), &of("/messages"), reading::messages)
        .add_at(get.clone(), &of("/context/{event_id}"), reading::context)
        .add_at(get.clone(), "/_synapse/admin/v1/fetch_event/{event_id}", reading::event)
        .add_at(get.clone(), &of("/timestamp_to_event"), reading::event_by_time)
        .add_at(get.clone(), &of("/forward_extremities"), reading::extremities)
        .add_at(get.clone(), &of("/block"), block::get)
        .add_at(put, &of("/block"), block::set)
        .add_at(post.clone(), &of("/make_room_admin"), make_admin::make_admin)
        .add_at(post, "/_synapse/admin/v1/join/{room_id}", make_admin::join)
        .add_at(delete.clone(), &of(""), delete::delete_v1)
        .add_at(delete, "/_synapse/admin/v2/rooms/{room_id}", delete::delete_v2)
        .add_at(get.clone(), "/_synapse/admin/v2/rooms/{room_id}/delete_status", delete::status_of_room)
        .add_at(get, "/_synapse/admin/v2/rooms/delete_status/{delete_id}", delete::status)
}
