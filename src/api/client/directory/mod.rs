//! The published room directory.

pub(super) mod is_published;
pub(super) mod list;
pub(super) mod publish;
pub(super) mod search;

use ruma::api::client::directory;

use crate::api::routes::Routes;

/// Adds the endpoints.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add::<directory::get_public_rooms::v3::Request, _, _>(list::list)
        .add::<directory::get_public_rooms_filtered::v3::Request, _, _>(search::search)
        .add::<directory::get_room_visibility::v3::Request, _, _>(is_published::is_published)
        .add::<directory::set_room_visibility::v3::Request, _, _>(publish::publish)
}
