//! Networks that bridges reach ([third-party networks]): what their application services say of them.
//!
//! [third-party networks]: https://spec.matrix.org/v1.19/client-server-api/#third-party-networks

mod look_up;
mod protocols;

use ruma::api::client::thirdparty::{
    get_location_for_protocol, get_location_for_room_alias, get_protocol, get_protocols,
    get_user_for_protocol, get_user_for_user_id,
};

use crate::api::routes::Routes;

/// Adds the endpoints.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add::<get_protocols::v3::Request, _, _>(protocols::all)
        .add::<get_protocol::v3::Request, _, _>(protocols::one)
        .add::<get_location_for_protocol::v3::Request, _, _>(look_up::locations_of)
        .add::<get_location_for_room_alias::v3::Request, _, _>(look_up::locations)
        .add::<get_user_for_protocol::v3::Request, _, _>(look_up::users_of)
        .add::<get_user_for_user_id::v3::Request, _, _>(look_up::users)
}
