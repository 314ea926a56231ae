//! Who is in a room, and which rooms a user is in.

pub(super) mod joined_members;
pub(super) mod joined_rooms;
pub(super) mod list;
mod mutual_rooms;

use ruma::api::client::membership;

use crate::api::routes::Routes;

/// Adds the endpoints.
pub fn routes(routes: Routes) -> Routes {
    const MUTUAL_ROOMS: &str = "/_matrix/client/v1/mutual_rooms";
    routes
        .add_at(http::Method::GET, MUTUAL_ROOMS, mutual_rooms::mutual_rooms)
        .add::<membership::get_mutual_rooms::unstable::Request, _, _>(mutual_rooms::mutual_rooms)
        .add::<membership::get_member_events::v3::Request, _, _>(list::list)
        .add::<membership::joined_members::v3::Request, _, _>(joined_members::joined_members)
        .add::<membership::joined_rooms::v3::Request, _, _>(joined_rooms::joined_rooms)
}
