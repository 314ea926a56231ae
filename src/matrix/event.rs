//! An event of a room (a PDU), parsed once.
//!
//! [`Event`] holds the fields that rules and services need beside the canonical text that hashes and
//! signatures cover. It is immutable, never holds `unsigned` (which is not part of the signed event),
//! and says nothing about whether the event is accepted: that is the caller's knowledge.

use std::{ops::Range, sync::Arc};

use ruma::{
    EventId, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId,
    events::TimelineEventType,
    room_version_rules::{EventsReferenceFormatVersion, RoomVersionRules},
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::{
    canonical_json::{CanonicalJsonError, Strictness, canonicalize_object},
    hashes::{Sha256, essential_json, event_id_of_hash, sha256},
    limits::{AUTH_EVENTS_MAX, ID_BYTES_MAX, PDU_BYTES_MAX, PREV_EVENTS_MAX},
    raw_object::RawObject,
};

/// Why a PDU is not in its room version's [event format]: check 1 on receipt, which drops it.
///
/// [event format]: https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventFormatError {
    /// Not canonical JSON of the room version.
    #[error(transparent)]
    CanonicalJson(#[from] CanonicalJsonError),
    /// A field is missing or has the wrong type.
    #[error("the event is malformed: {0}")]
    Fields(#[from] serde_json::Error),
    /// Larger than [`PDU_BYTES_MAX`].
    #[error("the event has {0} bytes, more than {PDU_BYTES_MAX}")]
    TooLarge(usize),
    /// Longer than [`ID_BYTES_MAX`].
    #[error("the event's {0} is longer than {ID_BYTES_MAX} bytes")]
    FieldTooLong(&'static str),
    /// A field that this room version requires.
    #[error("the event has no {0}")]
    Missing(&'static str),
    /// A field that this room version forbids.
    #[error("the event must not have a {0}")]
    Forbidden(&'static str),
    /// More than [`PREV_EVENTS_MAX`] or [`AUTH_EVENTS_MAX`] entries.
    #[error("the event has {found} {field}, more than {limit}")]
    TooManyReferences {
        /// `prev_events` or `auth_events`.
        field: &'static str,
        /// Entries found.
        found: usize,
        /// Entries allowed.
        limit: usize,
    },
    /// An identifier that does not follow its grammar.
    #[error("the event's {0} is not a valid identifier")]
    Identifier(&'static str),
}

impl EventFormatError {
    /// Whether the event breaks a size limit, which clients are told as `M_TOO_LARGE`.
    pub fn is_too_large(&self) -> bool {
        matches!(self, Self::TooLarge(_) | Self::FieldTooLong(_))
    }
}

/// One event. Cloning is cheap compared with parsing, but share it as `Arc<Event>`.
#[derive(Debug, Clone)]
#[allow(clippy::struct_field_names, reason = "`event_id` and the type have these names in every PDU")]
pub struct Event {
    event_id: OwnedEventId,
    room_id: OwnedRoomId,
    sender: OwnedUserId,
    event_type: String,
    state_key: Option<String>,
    origin_server_ts: u64,
    depth: u64,
    prev_events: Vec<OwnedEventId>,
    auth_events: Vec<OwnedEventId>,
    redacts: Option<OwnedEventId>,
    sticky_ms: Option<u64>,
    json: Arc<str>,
    /// Where the content stands in `json`.
    content: Range<usize>,
}

/// For how long a `sticky` object makes its event sticky; one that is not valid does nothing.
fn sticky_ms(sticky: &RawValue) -> Option<u64> {
    #[derive(Deserialize)]
    struct Sticky {
        duration_ms: u64,
    }
    let Sticky { duration_ms } = serde_json::from_str(sticky.get()).ok()?;
    (duration_ms <= super::limits::STICKY_MS_MAX).then_some(duration_ms)
}

impl Event {
    /// Parses a PDU from outside: canonicalises it, applies every limit of the event format, and
    /// computes its event ID. Signatures and the content hash are *not* checked; see
    /// [`verify_event`](super::signing::verify_event).
    ///
    /// `unsigned` is dropped: its writer is not known, and readers build their own.
    pub fn from_pdu(bytes: &[u8], rules: &RoomVersionRules) -> Result<Self, EventFormatError> {
        let canonical = canonicalize_object(bytes, Strictness::of(rules))?;
        let mut object = RawObject::parse(&canonical)?;
        if object.remove("unsigned").is_some() {
            Self::from_canonical(&object.to_json(), rules)
        } else {
            Self::from_canonical(&canonical, rules)
        }
    }

    /// As [`from_pdu`](Self::from_pdu), from a tree. A tree holds strict canonical JSON only.
    pub fn from_object(
        object: &ruma::CanonicalJsonObject,
        rules: &RoomVersionRules,
    ) -> Result<Self, EventFormatError> {
        Self::from_pdu(super::canonical_json::to_string(object)?.as_bytes(), rules)
    }

    /// Parses the canonical text of a PDU without `unsigned`, and computes its event ID.
    pub(super) fn from_canonical(json: &str, rules: &RoomVersionRules) -> Result<Self, EventFormatError> {
        if json.len() > PDU_BYTES_MAX {
            return Err(EventFormatError::TooLarge(json.len()));
        }
        let wire: Wire<'_> = serde_json::from_str(json)?;
        let object = RawObject::parse(json)?;
        let hash = sha256(essential_json(&object, &wire.event_type, rules)?.as_bytes());
        let event_id = match event_id_of_hash(&hash, rules) {
            Some(event_id) => event_id,
            None => wire.event_id.clone().ok_or(EventFormatError::Missing("event_id"))?,
        };
        let event_id =
            OwnedEventId::try_from(event_id).map_err(|_| EventFormatError::Identifier("event_id"))?;
        if rules.event_format.require_event_id && event_id.server_name().is_none() {
            return Err(EventFormatError::Identifier("event_id"));
        }
        let event = Self::from_wire(wire, event_id, json, rules)?;
        event.check_limits(rules)?;
        Ok(event)
    }

    /// Reads an event that this server has written to its store, whose event ID it knows. Limits
    /// and hashes were checked before it was written; only what is needed to parse is checked again.
    pub fn from_stored(
        event_id: OwnedEventId,
        json: &str,
        rules: &RoomVersionRules,
    ) -> Result<Self, EventFormatError> {
        let wire: Wire<'_> = serde_json::from_str(json)?;
        Self::from_wire(wire, event_id, json, rules)
    }

    /// As [`from_stored`](Self::from_stored), from the bytes that the store returns.
    pub fn from_stored_bytes(
        event_id: OwnedEventId,
        json: &[u8],
        rules: &RoomVersionRules,
    ) -> Result<Self, EventFormatError> {
        let json =
            std::str::from_utf8(json).map_err(|error| CanonicalJsonError::Syntax(error.to_string()))?;
        Self::from_stored(event_id, json, rules)
    }

    fn from_wire(
        wire: Wire<'_>,
        event_id: OwnedEventId,
        json: &str,
        rules: &RoomVersionRules,
    ) -> Result<Self, EventFormatError> {
        let content = wire.content.get();
        if !content.starts_with('{') {
            return Err(EventFormatError::Missing("content object"));
        }
        let is_create = wire.event_type == "m.room.create";
        let room_id = match wire.room_id {
            Some(_) if is_create && !rules.event_format.require_room_create_room_id => {
                return Err(EventFormatError::Forbidden("room_id"));
            }
            Some(room_id) => room_id,
            None if is_create && !rules.event_format.require_room_create_room_id => {
                room_id_of_create(&event_id).ok_or(EventFormatError::Identifier("room_id"))?
            }
            None => return Err(EventFormatError::Missing("room_id")),
        };
        let redacts = redacts_of(&wire.event_type, wire.redacts, wire.content, rules);
        // The borrowed content is a part of `json`, so that its place is the distance of the two.
        let start = (content.as_ptr() as usize).saturating_sub(json.as_ptr() as usize);
        let content = start..start + content.len();
        debug_assert!(json.get(content.clone()).is_some_and(|text| text.starts_with('{')));
        Ok(Self {
            event_id,
            room_id,
            sender: wire.sender,
            event_type: wire.event_type,
            state_key: wire.state_key,
            origin_server_ts: wire.origin_server_ts,
            depth: wire.depth,
            prev_events: references(wire.prev_events, rules)?,
            auth_events: references(wire.auth_events, rules)?,
            redacts,
            sticky_ms: wire.sticky.and_then(sticky_ms),
            json: json.into(),
            content,
        })
    }

    /// The limits of the event format that parsing alone does not apply.
    fn check_limits(&self, rules: &RoomVersionRules) -> Result<(), EventFormatError> {
        // In rooms older than version 11 servers have always counted characters where the specification says bytes.
        // Who did not take such an event would lose everything that follows it.
        let counts_bytes = rules.redaction.content_field_redacts;
        let length = |text: &str| if counts_bytes { text.len() } else { text.chars().count() };
        for (field, length) in [
            ("event_id", self.event_id.as_str().len()),
            ("room_id", self.room_id.as_str().len()),
            ("sender", self.sender.as_str().len()),
            ("type", length(&self.event_type)),
            ("state_key", self.state_key.as_deref().map_or(0, length)),
        ] {
            if length > ID_BYTES_MAX {
                return Err(EventFormatError::FieldTooLong(field));
            }
        }
        for (field, found, limit) in [
            ("prev_events", self.prev_events.len(), PREV_EVENTS_MAX),
            ("auth_events", self.auth_events.len(), AUTH_EVENTS_MAX),
        ] {
            if found > limit {
                return Err(EventFormatError::TooManyReferences { field, found, limit });
            }
        }
        Ok(())
    }

    /// The event ID; in room versions 3 and later, the reference hash.
    pub fn event_id(&self) -> &EventId {
        &self.event_id
    }

    /// The room; for the create event of room version 12, derived from its event ID.
    pub fn room_id(&self) -> &RoomId {
        &self.room_id
    }

    /// Who sent it.
    pub fn sender(&self) -> &UserId {
        &self.sender
    }

    /// The `type`, as it stands in the event.
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// The `type` as ruma's enumeration.
    pub fn timeline_event_type(&self) -> TimelineEventType {
        TimelineEventType::from(self.event_type.as_str())
    }

    /// The state key, if this is a state event.
    pub fn state_key(&self) -> Option<&str> {
        self.state_key.as_deref()
    }

    /// Whether this is a state event.
    pub fn is_state(&self) -> bool {
        self.state_key.is_some()
    }

    /// Whether this is the state event of this type and state key.
    pub fn is_state_of(&self, event_type: &str, state_key: &str) -> bool {
        self.event_type == event_type && self.state_key.as_deref() == Some(state_key)
    }

    /// When its server says that it was sent, in milliseconds since the Unix epoch.
    pub fn origin_server_ts(&self) -> u64 {
        self.origin_server_ts
    }

    /// The greatest depth among the previous events, plus one, as its server says.
    pub fn depth(&self) -> u64 {
        self.depth
    }

    /// The events that it follows in the room's graph.
    pub fn prev_events(&self) -> &[OwnedEventId] {
        &self.prev_events
    }

    /// The state events that allow it.
    pub fn auth_events(&self) -> &[OwnedEventId] {
        &self.auth_events
    }

    /// For how many milliseconds, from its sending, the event is sticky (MSC4354); at most an hour.
    pub fn sticky_ms(&self) -> Option<u64> {
        self.sticky_ms
    }

    /// What an `m.room.redaction` event redacts, from wherever the room version puts it; `None` for
    /// every other type, and for a redaction without a valid event ID there.
    pub fn redacts(&self) -> Option<&EventId> {
        self.redacts.as_deref()
    }

    /// The canonical text of the whole PDU, without `unsigned`: what is stored and federated.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// The same text, shared.
    pub fn shared_json(&self) -> Arc<str> {
        Arc::clone(&self.json)
    }

    /// The canonical text of the content, an object.
    pub fn content_json(&self) -> &str {
        self.json.get(self.content.clone()).unwrap_or("{}")
    }

    /// The content as a type of the caller's. Costs one parse of the content.
    pub fn content<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.content_json())
    }

    /// One member of the content; `None` if it is absent or has another type.
    pub fn content_field<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let object = RawObject::parse(self.content_json()).ok()?;
        serde_json::from_str(object.get(key)?).ok()
    }

    /// The `membership` of an `m.room.member` event; `None` if it is absent or not a string, and for
    /// every other type.
    pub fn membership(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Membership {
            membership: String,
        }
        if self.event_type != "m.room.member" {
            return None;
        }
        self.content::<Membership>().ok().map(|content| content.membership)
    }

    /// The PDU as a tree, in which the caller may add signatures or `unsigned`. Fails for events of
    /// room versions 1 to 5 with numbers that a tree can't hold.
    pub fn to_object(&self) -> Result<ruma::CanonicalJsonObject, serde_json::Error> {
        serde_json::from_str(&self.json)
    }

    /// The PDU as raw JSON for the federation API. Costs one scan of the text.
    pub fn to_raw_pdu(&self) -> Result<Box<RawValue>, serde_json::Error> {
        RawValue::from_string(self.json.as_ref().to_owned())
    }

    /// The SHA-256 reference hash, which room versions 1 and 2 put beside each event ID in
    /// `prev_events` and `auth_events`.
    pub fn reference_hash(&self, rules: &RoomVersionRules) -> Result<Sha256, EventFormatError> {
        let object = RawObject::parse(&self.json)?;
        Ok(sha256(essential_json(&object, &self.event_type, rules)?.as_bytes()))
    }
}

/// The fields of a PDU on the wire.
#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(default, deserialize_with = "present")]
    event_id: Option<String>,
    #[serde(default, deserialize_with = "present")]
    room_id: Option<OwnedRoomId>,
    sender: OwnedUserId,
    #[serde(rename = "type")]
    event_type: String,
    #[serde(default, deserialize_with = "present")]
    state_key: Option<String>,
    origin_server_ts: u64,
    depth: u64,
    #[serde(borrow)]
    prev_events: &'a RawValue,
    #[serde(borrow)]
    auth_events: &'a RawValue,
    #[serde(borrow)]
    content: &'a RawValue,
    #[serde(borrow, default)]
    redacts: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "msc4354_sticky")]
    sticky: Option<&'a RawValue>,
    // Required by the format; their meaning is the signature check's.
    #[serde(rename = "hashes")]
    _hashes: serde::de::IgnoredAny,
    #[serde(rename = "signatures")]
    _signatures: serde::de::IgnoredAny,
}

/// An optional field that, if present, must have its type: `null` is not absence.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// The event IDs in `prev_events` or `auth_events`.
fn references(raw: &RawValue, rules: &RoomVersionRules) -> Result<Vec<OwnedEventId>, serde_json::Error> {
    match rules.events_reference_format {
        EventsReferenceFormatVersion::V1 => {
            let pairs: Vec<(OwnedEventId, serde::de::IgnoredAny)> = serde_json::from_str(raw.get())?;
            Ok(pairs.into_iter().map(|(event_id, _)| event_id).collect())
        }
        _ => serde_json::from_str(raw.get()),
    }
}

/// The target of a redaction event.
fn redacts_of(
    event_type: &str,
    top_level: Option<&RawValue>,
    content: &RawValue,
    rules: &RoomVersionRules,
) -> Option<OwnedEventId> {
    #[derive(Deserialize)]
    struct RedactionContent {
        redacts: OwnedEventId,
    }
    if event_type != "m.room.redaction" {
        return None;
    }
    if rules.redaction.content_field_redacts {
        serde_json::from_str::<RedactionContent>(content.get()).ok().map(|content| content.redacts)
    } else {
        serde_json::from_str(top_level?.get()).ok()
    }
}

/// The ID of the room that a create event of room version 12 or later makes: its event ID with the
/// sigil `!`.
pub fn room_id_of_create(create_event_id: &EventId) -> Option<OwnedRoomId> {
    let hash = create_event_id.as_str().strip_prefix('$')?;
    OwnedRoomId::try_from(format!("!{hash}")).ok()
}

/// The ID of the create event that a room ID of room version 12 or later names.
pub fn create_event_id_of_room(room_id: &RoomId) -> Option<OwnedEventId> {
    let hash = room_id.as_str().strip_prefix('!')?;
    OwnedEventId::try_from(format!("${hash}")).ok()
}

#[cfg(test)]
mod tests;
