//! How far users have read.

pub(super) mod read_markers;
pub(super) mod send;

use ruma::api::client::{read_marker::set_read_marker, receipt::create_receipt};

use crate::api::routes::Routes;

/// Adds the endpoints.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add::<create_receipt::v3::Request, _, _>(send::send)
        .add::<set_read_marker::v3::Request, _, _>(read_markers::read_markers)
}
