//! Reading a room's history: pages, the surroundings of an event, one event.

pub(super) mod context;
pub(super) mod event;
mod event_by_time;
pub(super) mod messages;

use crate::api::routes::Routes;

/// Adds the endpoints.
pub fn routes(routes: Routes) -> Routes {
    use ruma::api::client::{
        context::get_context,
        message::get_message_events,
        room::{get_event_by_timestamp, get_room_event},
    };
    routes
        .add::<get_message_events::v3::Request, _, _>(messages::messages)
        .add::<get_context::v3::Request, _, _>(context::context)
        .add::<get_event_by_timestamp::v1::Request, _, _>(event_by_time::event_by_time)
        .add::<get_room_event::v3::Request, _, _>(event::event)
}
