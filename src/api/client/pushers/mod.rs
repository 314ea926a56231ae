//! What users are notified of, and where notifications are sent to (client-server API, "Push Notifications").

mod get;
mod notifications;
mod set;

use ruma::api::client::push::{get_notifications, get_pushers, set_pusher};

use crate::{api::routes::Routes, net::Action};

pub use get::shown;

/// Adds the endpoints.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add::<get_pushers::v3::Request, _, _>(get::get)
        .add_limited::<set_pusher::v3::Request, _, _>(Action::Pusher, set::set)
        .add::<get_notifications::v3::Request, _, _>(notifications::list)
}
