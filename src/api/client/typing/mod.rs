//! Who is typing.

pub(super) mod set;

use ruma::api::client::typing::create_typing_event;

use crate::api::routes::Routes;

/// Adds the endpoint.
pub fn routes(routes: Routes) -> Routes {
    routes.add::<create_typing_event::v3::Request, _, _>(set::set)
}
