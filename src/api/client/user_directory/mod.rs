//! The user directory.

pub(super) mod search;

use ruma::api::client::user_directory::search_users;

use crate::{api::routes::Routes, net::Action};

/// Adds the endpoint.
pub fn routes(routes: Routes) -> Routes {
    routes.add_limited::<search_users::v3::Request, _, _>(Action::Search, search::search)
}
