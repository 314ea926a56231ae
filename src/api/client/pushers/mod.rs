//! Where users' notifications are sent to (client-server API, "Push Notifications").

mod get;
mod set;

use ruma::api::client::push::{get_pushers, set_pusher};

use crate::api::routes::Routes;

/// Adds the endpoints.
pub fn routes(routes: Routes) -> Routes {
    routes.add::<get_pushers::v3::Request, _, _>(get::get).add::<set_pusher::v3::Request, _, _>(set::set)
}
