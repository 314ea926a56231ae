//! Reading a room's state: all of it, or one entry.

pub(super) mod all;
pub(super) mod one;

use http::Method;
use ruma::api::client::state::{get_state_event_for_key, get_state_events};

use crate::api::routes::Routes;

/// Adds the endpoints. An entry whose key is empty may be asked for without the last part of the path, with
/// or without the slash before it.
pub fn routes(routes: Routes) -> Routes {
    let mut routes = routes
        .add::<get_state_events::v3::Request, _, _>(all::all)
        .add::<get_state_event_for_key::v3::Request, _, _>(one::one);
    for version in ["r0", "v3"] {
        for slash in ["", "/"] {
            let path = format!("/_matrix/client/{version}/rooms/{{room_id}}/state/{{event_type}}{slash}");
            routes = routes.add_at(Method::GET, &path, one::one);
        }
    }
    routes
}
