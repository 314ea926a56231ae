//! Who is there.

pub(super) mod get;
pub(super) mod set;

use ruma::api::client::presence::{get_presence, set_presence};

use crate::{api::routes::Routes, net::Action};

/// Adds the endpoints.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add::<get_presence::v3::Request, _, _>(get::get)
        .add_limited::<set_presence::v3::Request, _, _>(Action::Message, set::set)
}
