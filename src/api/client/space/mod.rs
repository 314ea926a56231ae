//! What rooms tell to those who are not in them: spaces and summaries.

pub(super) mod hierarchy;
pub(super) mod summary;

use ruma::api::client::{room::get_summary, space::get_hierarchy};

use crate::api::routes::Routes;

/// Adds the endpoints. A room's summary has an older path beside those of its ruma type.
pub fn routes(routes: Routes) -> Routes {
    const OLD_SUMMARY: &str = "/_matrix/client/unstable/im.nheko.summary/summary/{room_id_or_alias}";
    routes
        .add::<get_hierarchy::v1::Request, _, _>(hierarchy::hierarchy)
        .add::<get_summary::v1::Request, _, _>(summary::summary)
        .add_at(http::Method::GET, OLD_SUMMARY, summary::summary)
}
