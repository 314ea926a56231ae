//! Who is in a room, and which rooms a user is in.

pub(super) mod joined_members;
pub(super) mod joined_rooms;
pub(super) mod list;

use ruma::api::client::membership;

use crate::api::routes::Routes;

/// Adds the endpoints.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add::<membership::get_member_events::v3::Request, _, _>(list::list)
        .add::<membership::joined_members::v3::Request, _, _>(joined_members::joined_members)
        .add::<membership::joined_rooms::v3::Request, _, _>(joined_rooms::joined_rooms)
}
