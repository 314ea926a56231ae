//! Making rooms, and replacing them.

pub(super) mod create;
pub(super) mod upgrade;

use ruma::api::client::room::{create_room, upgrade_room};

use crate::{api::routes::Routes, net::Action};

/// Adds the endpoints.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add_limited::<create_room::v3::Request, _, _>(Action::RoomCreation, create::create)
        .add_limited::<upgrade_room::v3::Request, _, _>(Action::RoomCreation, upgrade::upgrade)
}
