//! Messages to devices.

mod send;

use ruma::api::client::to_device::send_event_to_device;

use crate::{api::routes::Routes, net::Action};

/// Adds the endpoint.
pub fn routes(routes: Routes) -> Routes {
    routes.add_limited::<send_event_to_device::v3::Request, _, _>(Action::Message, send::send)
}
