//! Events that relate to others, and threads.

pub(super) mod of_event;
pub(super) mod threads;

use ruma::api::client::{
    relations::{
        get_relating_events, get_relating_events_with_rel_type,
        get_relating_events_with_rel_type_and_event_type,
    },
    threads::get_threads,
};

use crate::api::routes::Routes;

/// Adds the endpoints.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add::<get_relating_events::v1::Request, _, _>(of_event::all)
        .add::<get_relating_events_with_rel_type::v1::Request, _, _>(of_event::of_rel_type)
        .add::<get_relating_events_with_rel_type_and_event_type::v1::Request, _, _>(of_event::of_event_type)
        .add::<get_threads::v1::Request, _, _>(threads::threads)
}
