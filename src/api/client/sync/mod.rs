//! Sync: telling clients what happened.

mod long_poll;
mod sliding;
mod sync_events;

use ruma::api::client::sync::sync_events as ruma_sync;

use crate::api::routes::Routes;

/// Adds the endpoints.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add::<ruma_sync::v3::Request, _, _>(sync_events::sync_events)
        .add::<ruma_sync::v5::Request, _, _>(sliding::sliding)
}
