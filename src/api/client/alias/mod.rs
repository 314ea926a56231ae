//! Names of rooms.

pub(super) mod create;
pub(super) mod of_room;
pub(super) mod remove;
pub(in crate::api::client) mod resolve;

use ruma::api::client::{alias, room::aliases};

use crate::api::routes::Routes;

/// Adds the endpoints.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add::<alias::create_alias::v3::Request, _, _>(create::create)
        .add::<alias::get_alias::v3::Request, _, _>(resolve::resolve)
        .add::<alias::delete_alias::v3::Request, _, _>(remove::remove)
        .add::<aliases::v3::Request, _, _>(of_room::of_room)
}
