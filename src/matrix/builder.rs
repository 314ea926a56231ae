//! Making new events.
//!
//! [`EventDraft`] is an event before hashes and signatures; [`EventDraft::build`] turns it into an
//! [`Event`]. It never decides whether the event is allowed: that is [`auth_rules`](super::auth_rules).

use base64::Engine;
use ruma::{
    CanonicalJsonObject, OwnedEventId, OwnedRoomId, OwnedUserId, ServerName,
    room_version_rules::{EventIdFormatVersion, EventsReferenceFormatVersion, RoomVersionRules},
};

use super::{
    auth_rules::auth_types,
    canonical_json::{self, CanonicalJsonError, Strictness},
    event::{Event, EventFormatError},
    hashes::{BASE64, BASE64_URL, Sha256, content_hash},
    limits::CANONICAL_INTEGER_MAX,
    raw_object::RawObject,
    signing::{SigningKey, sign_event_object},
};

/// Why a draft can't become an event.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The finished event breaks the event format, most often a size limit
    /// ([`EventFormatError::is_too_large`]).
    #[error(transparent)]
    Format(#[from] EventFormatError),
    /// The content can't be written as JSON.
    #[error(transparent)]
    Content(#[from] CanonicalJsonError),
    /// A reference without the hash that room versions 1 and 2 need.
    #[error("the reference to {0} has no hash, which this room version needs")]
    MissingReferenceHash(OwnedEventId),
    /// No room ID, though this is not the create event of room version 12 or later.
    #[error("the event has no room ID")]
    MissingRoomId,
}

impl From<serde_json::Error> for BuildError {
    fn from(error: serde_json::Error) -> Self {
        Self::Format(error.into())
    }
}

/// An entry of `prev_events` or `auth_events`.
///
/// Room versions 3 and later need the ID only, so that `event_id.into()` is enough; versions 1 and 2
/// also need the event's reference hash: use [`EventReference::of`] wherever the event is at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventReference {
    /// The event referred to.
    pub event_id: OwnedEventId,
    /// Its reference hash; used in room versions 1 and 2 only.
    pub sha256: Option<Sha256>,
}

impl EventReference {
    /// A reference that is good in every room version. Hashes the event only where that is needed.
    pub fn of(event: &Event, rules: &RoomVersionRules) -> Result<Self, EventFormatError> {
        let sha256 = match rules.events_reference_format {
            EventsReferenceFormatVersion::V1 => Some(event.reference_hash(rules)?),
            _ => None,
        };
        Ok(Self { event_id: event.event_id().to_owned(), sha256 })
    }
}

impl From<OwnedEventId> for EventReference {
    fn from(event_id: OwnedEventId) -> Self {
        Self { event_id, sha256: None }
    }
}

/// An event that has no hashes, signatures and event ID yet.
#[derive(Debug, Clone)]
pub struct EventDraft {
    /// The room; `None` only for the create event of room version 12 and later.
    pub room_id: Option<OwnedRoomId>,
    /// Who sends it: a user of the server that signs.
    pub sender: OwnedUserId,
    /// The `type`.
    pub event_type: String,
    /// The state key of a state event.
    pub state_key: Option<String>,
    /// The content. Put what a redaction redacts into `redacts`, not here.
    pub content: CanonicalJsonObject,
    /// What an `m.room.redaction` redacts; `build` puts it where the room version wants it.
    pub redacts: Option<OwnedEventId>,
    /// Milliseconds since the Unix epoch.
    pub origin_server_ts: u64,
    /// The forward extremities that it follows, at most
    /// [`PREV_EVENTS_MAX`](super::limits::PREV_EVENTS_MAX).
    pub prev_events: Vec<EventReference>,
    /// The state events that [`auth_types`] selects.
    pub auth_events: Vec<EventReference>,
    /// The greatest depth among the previous events, plus one; `build` caps it at the version's limit.
    pub depth: u64,
    /// For how many milliseconds the event is sticky (MSC4354).
    pub sticky_ms: Option<u64>,
}

impl EventDraft {
    /// The `(type, state_key)` pairs of the state events that must stand in `auth_events`.
    pub fn auth_types(
        &self,
        rules: &RoomVersionRules,
    ) -> Result<Vec<(&'static str, String)>, CanonicalJsonError> {
        let content = canonical_json::to_string(&self.content)?;
        Ok(auth_types(&self.event_type, &self.sender, self.state_key.as_deref(), &content, rules))
    }

    /// The draft as another server's user gets it to sign (`/make_join` and its like): without hashes,
    /// signatures and event ID.
    pub fn template(&self, rules: &RoomVersionRules) -> Result<String, BuildError> {
        Ok(self.to_raw_object(rules)?.to_json())
    }

    /// Hashes and signs the draft as `server`, whose key `key` is.
    pub fn build(
        self,
        rules: &RoomVersionRules,
        server: &ServerName,
        key: &SigningKey,
    ) -> Result<Event, BuildError> {
        let object = self.to_raw_object(rules)?;
        finish(object, &self.event_type, rules, server, key)
    }

    fn to_raw_object(&self, rules: &RoomVersionRules) -> Result<RawObject<'static>, BuildError> {
        let mut object = RawObject::default();
        let mut content = canonical_json::to_string(&self.content)?;
        if let Some(redacts) = &self.redacts {
            if rules.redaction.content_field_redacts {
                let mut with_target = RawObject::parse(&content)?;
                with_target.insert_string("redacts", redacts.as_str());
                content = with_target.to_json();
            } else {
                object.insert_string("redacts", redacts.as_str());
            }
        }
        object.insert("content", content);
        let is_create = self.event_type == "m.room.create";
        match &self.room_id {
            Some(room_id) => object.insert_string("room_id", room_id.as_str()),
            None if is_create && !rules.event_format.require_room_create_room_id => {}
            None => return Err(BuildError::MissingRoomId),
        }
        object.insert_string("sender", self.sender.as_str());
        object.insert_string("type", &self.event_type);
        if let Some(state_key) = &self.state_key {
            object.insert_string("state_key", state_key);
        }
        if let Some(duration) = self.sticky_ms {
            object.insert("msc4354_sticky", format!("{{\"duration_ms\":{duration}}}"));
        }
        object.insert("origin_server_ts", self.origin_server_ts.to_string());
        object.insert("depth", self.depth.min(depth_max(rules)).to_string());
        object.insert("prev_events", references_json(&self.prev_events, rules)?);
        object.insert("auth_events", references_json(&self.auth_events, rules)?);
        Ok(object)
    }
}

/// Completes another server's template of a membership event of `sender`'s: with our content and time, hashes
/// and signature. What the template says of the event's place in the graph is kept; all else of it is not.
pub fn build_from_template(
    template: &str,
    membership: MembershipFields<'_>,
    rules: &RoomVersionRules,
    server: &ServerName,
    key: &SigningKey,
) -> Result<Event, BuildError> {
    let template = canonical_json::canonicalize_object(template.as_bytes(), Strictness::of(rules))?;
    let mut object = RawObject::parse(&template)?;
    object.retain(|field| matches!(field, "auth_events" | "prev_events" | "depth"));
    object.insert_string("room_id", membership.room_id.as_str());
    object.insert_string("sender", membership.sender.as_str());
    object.insert_string("state_key", membership.sender.as_str());
    object.insert_string("type", "m.room.member");
    object.insert_string("origin", server.as_str());
    object.insert("origin_server_ts", membership.origin_server_ts.to_string());
    object.insert("content", canonical_json::to_string(membership.content)?);
    finish(object, "m.room.member", rules, server, key)
}

/// What [`build_from_template`] puts into a template.
#[derive(Debug, Clone, Copy)]
pub struct MembershipFields<'a> {
    /// The room.
    pub room_id: &'a ruma::RoomId,
    /// Whose membership it is, a user of the server that signs.
    pub sender: &'a ruma::UserId,
    /// The content.
    pub content: &'a CanonicalJsonObject,
    /// Milliseconds since the Unix epoch.
    pub origin_server_ts: u64,
}

/// Adds event ID where the version has one, hashes and signature.
fn finish(
    mut object: RawObject<'_>,
    event_type: &str,
    rules: &RoomVersionRules,
    server: &ServerName,
    key: &SigningKey,
) -> Result<Event, BuildError> {
    if rules.event_id_format == EventIdFormatVersion::V1 {
        // Any ID that no other event of this server has will do. The hash of all that we know of the
        // event is one, and needs no source of randomness.
        let hash = content_hash(&object);
        object.insert_string("event_id", &format!("${}:{server}", BASE64_URL.encode(hash)));
    }
    let hash = BASE64.encode(content_hash(&object));
    object.insert("hashes", format!("{{\"sha256\":\"{hash}\"}}"));
    sign_event_object(&mut object, event_type, rules, server, key)?;
    Ok(Event::from_canonical(&object.to_json(), rules)?)
}

/// The greatest depth that an event may have: once a room is there, depths stay there.
fn depth_max(rules: &RoomVersionRules) -> u64 {
    match Strictness::of(rules) {
        Strictness::Strict => CANONICAL_INTEGER_MAX.unsigned_abs(),
        Strictness::Lenient => i64::MAX.unsigned_abs(),
    }
}

/// The JSON of `prev_events` or `auth_events`.
fn references_json(references: &[EventReference], rules: &RoomVersionRules) -> Result<String, BuildError> {
    let mut out = String::from("[");
    for (index, reference) in references.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        match rules.events_reference_format {
            EventsReferenceFormatVersion::V1 => {
                let hash = reference
                    .sha256
                    .ok_or_else(|| BuildError::MissingReferenceHash(reference.event_id.clone()))?;
                out.push('[');
                canonical_json::write_string(reference.event_id.as_str(), &mut out);
                out.push_str(",{\"sha256\":\"");
                out.push_str(&BASE64.encode(hash));
                out.push_str("\"}]");
            }
            _ => canonical_json::write_string(reference.event_id.as_str(), &mut out),
        }
    }
    out.push(']');
    Ok(out)
}

#[cfg(test)]
mod tests;
