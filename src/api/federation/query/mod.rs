//! Questions of other servers about names: rooms' and users'.

pub(super) mod directory;
pub(super) mod profile;

use ruma::api::federation::query::{get_profile_information, get_room_information};

use crate::api::routes::Routes;

/// Adds the endpoints.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add::<get_room_information::v1::Request, _, _>(directory::directory)
        .add::<get_profile_information::v1::Request, _, _>(profile::profile)
}
