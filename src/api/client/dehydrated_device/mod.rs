//! Dehydrated devices (MSC3814), under the unstable prefix that clients use.

mod delete;
mod events;
mod get;
mod put;

use http::Method;
use ruma::api::client::dehydrated_device as api;

use crate::api::routes::Routes;

/// Where a client of the proposal's newer text asks for messages; ruma has the older one.
const EVENTS: &str = "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device/{device_id}/events";

/// Adds the endpoints of this folder.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add::<api::put_dehydrated_device::unstable::Request, _, _>(put::put)
        .add::<api::get_dehydrated_device::unstable::Request, _, _>(get::get)
        .add::<api::delete_dehydrated_device::unstable::Request, _, _>(delete::delete)
        .add::<api::get_events::unstable::Request, _, _>(events::events_by_post)
        .add_at(Method::GET, EVENTS, events::events)
}
