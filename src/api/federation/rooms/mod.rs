//! Rooms, for the servers in them.

pub(super) mod backfill;
pub(super) mod event;
pub(super) mod event_auth;
pub(super) mod event_by_time;
pub(super) mod invite;
pub(super) mod make_join;
pub(super) mod make_knock;
pub(super) mod make_leave;
pub(super) mod missing_events;
mod pdu_stream;
pub(super) mod send_join;
pub(super) mod send_knock;
pub(super) mod send_leave;
pub(super) mod state;
pub(super) mod state_ids;

use std::sync::Arc;

use http::Method;
use ruma::api::federation::{
    authorization::get_event_authorization,
    backfill::get_backfill,
    event::{get_event, get_event_by_timestamp, get_missing_events, get_room_state, get_room_state_ids},
    membership::{
        create_invite, create_join_event, create_knock_event, create_leave_event, prepare_join_event,
        prepare_knock_event, prepare_leave_event,
    },
};
use serde_json::value::RawValue;

use crate::{
    api::{ApiError, routes::Routes},
    matrix::event::Event,
};

/// Adds the endpoints.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add::<get_event::v1::Request, _, _>(event::event)
        .add::<get_event_by_timestamp::v1::Request, _, _>(event_by_time::event_by_time)
        .add::<get_room_state::v1::Request, _, _>(state::state)
        .add::<get_room_state_ids::v1::Request, _, _>(state_ids::state_ids)
        .add::<get_event_authorization::v1::Request, _, _>(event_auth::event_auth)
        .add::<get_backfill::v1::Request, _, _>(backfill::backfill)
        .add::<get_missing_events::v1::Request, _, _>(missing_events::missing_events)
        .add::<prepare_join_event::v1::Request, _, _>(make_join::make_join)
        .add::<prepare_leave_event::v1::Request, _, _>(make_leave::make_leave)
        .add::<prepare_knock_event::v1::Request, _, _>(make_knock::make_knock)
        .add::<create_join_event::v2::Request, _, _>(send_join::send_join)
        .add_at(Method::PUT, "/_matrix/federation/v1/send_join/{room_id}/{event_id}", send_join::send_join_v1)
        .add::<create_leave_event::v2::Request, _, _>(send_leave::send_leave)
        .add_at(
            Method::PUT,
            "/_matrix/federation/v1/send_leave/{room_id}/{event_id}",
            send_leave::send_leave_v1,
        )
        .add::<create_knock_event::v1::Request, _, _>(send_knock::send_knock)
        .add::<create_invite::v2::Request, _, _>(invite::invite)
        .add::<create_invite::v1::Request, _, _>(invite::invite_v1)
}

/// An event as other servers get it.
fn raw_pdu(event: &Event) -> Result<Box<RawValue>, ApiError> {
    event.to_raw_pdu().map_err(ApiError::internal)
}

fn raw_pdus(events: &[Arc<Event>]) -> Result<Vec<Box<RawValue>>, ApiError> {
    events.iter().map(|event| raw_pdu(event)).collect()
}
