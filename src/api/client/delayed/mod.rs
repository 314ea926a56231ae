//! Events that are sent later (MSC4140), under the names that the proposal has before it is part of the
//! specification; and `/send` and `/state` with a delay, as clients of today ask for it.
//!
//! Lists and looks name each time and delay as both the proposal and its versions before call them.

mod act;
mod get;
mod list;
mod put;
mod schedule;

use http::Method;
use ruma::api::client::delayed_events as api;
use serde_json::{Map, Value, json};

pub use self::schedule::{Delay, ScheduleRequest, schedule};
use crate::{api::routes::Routes, net::Action, rooms::DelayId, storage::records::DelayedEventRecord};

/// Adds the endpoints.
pub fn routes(routes: Routes) -> Routes {
    let path = "/_matrix/client/unstable/org.matrix.msc4140/delayed_events/{delay_id}";
    routes
        .add_limited::<api::send_delayed_event::unstable::Request, _, _>(Action::Message, put::put)
        .add::<api::get_all_delayed_events::unstable::Request, _, _>(list::list)
        .add::<api::get_delayed_event::unstable::Request, _, _>(get::get)
        .add::<api::update_delayed_event::unstable_v2::Request, _, _>(act::act)
        .add_at(Method::POST, path, act::act_by_body)
}

/// An event as its sender sees it.
fn shown(id: DelayId, record: DelayedEventRecord) -> Value {
    let mut shown = Map::new();
    let mut add = |name: &str, value: Value| shown.insert(name.to_owned(), value);
    add("delay_id", json!(id.to_string()));
    add("room_id", json!(record.room_id));
    add("type", json!(record.event_type));
    if let Some(state_key) = record.state_key {
        add("state_key", json!(state_key));
    }
    for name in ["delay", "delay_ms"] {
        add(name, json!(record.delay_ms));
    }
    for name in ["running_since", "scheduled_at"] {
        add(name, json!(record.scheduled_at_ms));
    }
    add("content", json!(record.content));
    if let Some(outcome) = record.outcome {
        add("finalised_ts", json!(outcome.at_ms));
        if let Some(event_id) = outcome.event_id {
            add("event_id", json!(event_id));
        }
        if let Some(error) = outcome.error {
            add("error", json!(error));
        }
    }
    Value::Object(shown)
}
