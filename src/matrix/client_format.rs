//! Events as clients see them ([room event format]).
//!
//! On the sync hot path: the text is joined from the event's parsed fields and its raw content; neither
//! is parsed again, save the content of redactions, which is small. What a client sees beside the event
//! is given in [`Unsigned`]; nothing here looks anything up.
//!
//! [room event format]: https://spec.matrix.org/v1.19/client-server-api/#room-event-format

use ruma::EventId;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{canonical_json::write_string, event::Event, raw_object::RawObject};

/// The `unsigned` object of an event for one reader. Default: nothing.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Unsigned<'a> {
    /// Milliseconds since the event was sent; negative if its server's clock is ahead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age: Option<i64>,
    /// The transaction ID, only for the device that sent the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<&'a str>,
    /// The id under which the event was scheduled, only for its sender (MSC4140).
    #[serde(rename = "org.matrix.msc4140.delay_id", skip_serializing_if = "Option::is_none")]
    pub delay_id: Option<&'a str>,
    /// The reader's membership when the event was sent (spec v1.11, MSC4115).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub membership: Option<&'a str>,
    /// The same under the name that MSC4115 had before: clients of today still look for it there.
    #[serde(rename = "io.element.msc4115.membership", skip_serializing_if = "Option::is_none")]
    pub membership_unstable: Option<&'a str>,
    /// The content that a state event replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prev_content: Option<&'a RawValue>,
    /// Who sent the state event that this one replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prev_sender: Option<&'a str>,
    /// The state event that this one replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces_state: Option<&'a EventId>,
    /// The redaction event, in client format, of an event that was redacted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redacted_because: Option<&'a RawValue>,
    /// For how many milliseconds more the event is sticky.
    #[serde(rename = "msc4354_sticky_duration_ttl_ms", skip_serializing_if = "Option::is_none")]
    pub sticky_left_ms: Option<u64>,
    /// Bundled aggregations.
    #[serde(rename = "m.relations", skip_serializing_if = "Option::is_none")]
    pub relations: Option<&'a RawValue>,
}

impl Unsigned<'_> {
    fn is_empty(&self) -> bool {
        self.age.is_none()
            && self.transaction_id.is_none()
            && self.delay_id.is_none()
            && self.membership.is_none()
            && self.membership_unstable.is_none()
            && self.prev_content.is_none()
            && self.prev_sender.is_none()
            && self.replaces_state.is_none()
            && self.redacted_because.is_none()
            && self.sticky_left_ms.is_none()
            && self.relations.is_none()
    }
}

/// Where the event will stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientFormat {
    /// With its `room_id`: everywhere but in sync.
    WithRoomId,
    /// Without: in a sync response, whose rooms are keyed by ID.
    WithoutRoomId,
}

/// Appends the event in client format to `out`.
pub fn write_client_event(
    event: &Event,
    format: ClientFormat,
    unsigned: &Unsigned<'_>,
    out: &mut String,
) -> Result<(), serde_json::Error> {
    const FIXED_KEYS_BYTES: usize = 192;
    out.reserve(event.content_json().len() + FIXED_KEYS_BYTES);
    out.push_str("{\"content\":");
    match event.redacts() {
        Some(redacts) => write_redaction_content(event, redacts, out)?,
        None => out.push_str(event.content_json()),
    }
    write_member("event_id", event.event_id().as_str(), out);
    if let Some(duration) = event.sticky_ms() {
        out.push_str(",\"msc4354_sticky\":{\"duration_ms\":");
        out.push_str(&duration.to_string());
        out.push('}');
    }
    out.push_str(",\"origin_server_ts\":");
    out.push_str(&event.origin_server_ts().to_string());
    // Room versions before 11 have it here, and clients of that time look for it here in all.
    if let Some(redacts) = event.redacts() {
        write_member("redacts", redacts.as_str(), out);
    }
    if format == ClientFormat::WithRoomId {
        write_member("room_id", event.room_id().as_str(), out);
    }
    write_member("sender", event.sender().as_str(), out);
    if let Some(state_key) = event.state_key() {
        write_member("state_key", state_key, out);
    }
    write_member("type", event.event_type(), out);
    if !unsigned.is_empty() {
        out.push_str(",\"unsigned\":");
        out.push_str(&serde_json::to_string(unsigned)?);
    }
    out.push('}');
    Ok(())
}

/// The event in client format as a value for a serialised response. Beside [`write_client_event`] it
/// costs one scan of the text.
pub fn client_event(
    event: &Event,
    format: ClientFormat,
    unsigned: &Unsigned<'_>,
) -> Result<Box<RawValue>, serde_json::Error> {
    let mut out = String::new();
    write_client_event(event, format, unsigned, &mut out)?;
    RawValue::from_string(out)
}

/// The event as [stripped state], for those who are not in the room.
///
/// [stripped state]: https://spec.matrix.org/v1.19/client-server-api/#stripped-state
pub fn stripped_state(event: &Event) -> Result<Box<RawValue>, serde_json::Error> {
    const FIXED_KEYS_BYTES: usize = 96;
    let mut out = String::with_capacity(event.content_json().len() + FIXED_KEYS_BYTES);
    out.push_str("{\"content\":");
    out.push_str(event.content_json());
    write_member("sender", event.sender().as_str(), &mut out);
    write_member("state_key", event.state_key().unwrap_or_default(), &mut out);
    write_member("type", event.event_type(), &mut out);
    out.push('}');
    RawValue::from_string(out)
}

/// Appends `,"key":"value"`. The key is one of ours and needs no escapes.
fn write_member(key: &str, value: &str, out: &mut String) {
    out.push_str(",\"");
    out.push_str(key);
    out.push_str("\":");
    write_string(value, out);
}

/// The content of a redaction with the `redacts` that room version 11 has there; clients get it in
/// older rooms too ([specification]).
///
/// [specification]: https://spec.matrix.org/v1.19/rooms/v11/#moving-the-redacts-property-of-mroomredaction-events-to-a-content-property
fn write_redaction_content(
    event: &Event,
    redacts: &EventId,
    out: &mut String,
) -> Result<(), serde_json::Error> {
    let mut content = RawObject::parse(event.content_json())?;
    content.insert_string("redacts", redacts.as_str());
    out.push_str(&content.to_json());
    Ok(())
}

#[cfg(test)]
mod tests;
