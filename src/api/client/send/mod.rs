//! Sending events into rooms.

pub(super) mod message;
pub(super) mod redact;
pub(super) mod state;

use http::{Method, Uri};
use ruma::{
    CanonicalJsonObject, TransactionId,
    api::client::{message::send_message_event, redact::redact_event, state::send_state_event},
    exports::serde_html_form,
    serde::Raw,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    api::{ApiError, Requester, limits, routes::Routes},
    matrix::{canonical_json, limits::STICKY_MS_MAX},
    net::Action,
    rooms::{RoomError, appender::ClientTransaction},
};

/// Adds the endpoints. State with an empty key may be set without the last part of the path, with or without
/// the slash before it.
pub fn routes(routes: Routes) -> Routes {
    let mut routes = routes
        .add_limited::<send_message_event::v3::Request, _, _>(Action::Message, message::send)
        .add_limited::<redact_event::v3::Request, _, _>(Action::Message, redact::redact)
        .add::<send_state_event::v3::Request, _, _>(state::put);
    for version in ["r0", "v3"] {
        for slash in ["", "/"] {
            let path = format!("/_matrix/client/{version}/rooms/{{room_id}}/state/{{event_type}}{slash}");
            routes = routes.add_at(Method::PUT, &path, state::put);
        }
    }
    routes
}

/// The event type as it stands in the path: ruma's types know some by another name.
#[derive(Debug, Deserialize)]
pub(super) struct EventTypePath {
    event_type: String,
}

/// The time that an application service gives an event (application service API, "Timestamp massaging"); others'
/// `ts` is not regarded.
pub(super) fn massaged_timestamp(requester: &Requester, uri: &Uri) -> Result<Option<u64>, ApiError> {
    #[derive(Deserialize)]
    struct Query {
        ts: Option<ruma::UInt>,
    }
    if requester.appservice.is_none() {
        return Ok(None);
    }
    let query: Query = serde_html_form::from_str(uri.query().unwrap_or_default())
        .map_err(|_| ApiError::invalid_param("`ts` must be a time in milliseconds since 1970"))?;
    Ok(query.ts.map(u64::from))
}

/// For how many milliseconds a client wants the event to be sticky (MSC4354).
pub(in crate::api) fn sticky_duration(uri: &Uri) -> Result<Option<u64>, ApiError> {
    #[derive(Deserialize)]
    struct Query {
        #[serde(rename = "org.matrix.msc4354.sticky_duration_ms")]
        duration: Option<u64>,
    }
    let query: Result<Query, _> = serde_html_form::from_str(uri.query().unwrap_or_default());
    match query.map(|query| query.duration) {
        Ok(duration) if duration.is_none_or(|duration| duration <= STICKY_MS_MAX) => Ok(duration),
        _ => Err(ApiError::invalid_param(format!(
            "`org.matrix.msc4354.sticky_duration_ms` must be a number from 0 to {STICKY_MS_MAX}"
        ))),
    }
}

/// The content of an event as a client wrote it.
pub(super) fn content<T>(raw: &Raw<T>) -> Result<CanonicalJsonObject, ApiError> {
    parse_content(raw.json())
}

/// Reads an event's content.
pub fn parse_content(json: &RawValue) -> Result<CanonicalJsonObject, ApiError> {
    if json.get().len() > limits::CONTENT_JSON_BYTES_MAX {
        return Err(ApiError::too_large("The content is larger than an event may be"));
    }
    Ok(canonical_json::parse_object(json.get().as_bytes()).map_err(RoomError::from)?)
}

/// A request's transaction id, for the requester's device and the part of the path before it.
pub(super) fn transaction(requester: &Requester, path: String, id: &TransactionId) -> ClientTransaction {
    ClientTransaction {
        user: requester.user,
        device: requester.device_id.clone(),
        path,
        transaction_id: id.to_string(),
    }
}
