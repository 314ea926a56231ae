//! Making rooms.

pub(super) mod create;

use ruma::api::client::room::create_room;

use crate::{api::routes::Routes, net::Action};

/// Adds the endpoints.
pub fn routes(routes: Routes) -> Routes {
    routes.add_limited::<create_room::v3::Request, _, _>(Action::RoomCreation, create::create)
}
