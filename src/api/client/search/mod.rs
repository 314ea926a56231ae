//! Full-text search.

mod answer;
pub(super) mod search;

use ruma::api::client::search::search_events;

use crate::{api::routes::Routes, net::Action};

/// Adds the endpoint.
pub fn routes(routes: Routes) -> Routes {
    routes.add_limited::<search_events::v3::Request, _, _>(Action::Search, search::search)
}
