//! This server's published rooms and spaces, for other servers.

pub(super) mod hierarchy;
pub(super) mod list;
pub(super) mod search;

use ruma::api::federation::{
    directory::{get_public_rooms, get_public_rooms_filtered},
    space::get_hierarchy,
};

use crate::api::routes::Routes;

/// Adds the endpoints.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add::<get_public_rooms::v1::Request, _, _>(list::list)
        .add::<get_public_rooms_filtered::v1::Request, _, _>(search::search)
        .add::<get_hierarchy::v1::Request, _, _>(hierarchy::hierarchy)
}
