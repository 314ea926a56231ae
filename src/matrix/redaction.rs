//! The redaction algorithm ([specification]): what remains of an event when its content is removed.
//!
//! It works on the canonical text and never changes the event ID or the validity of signatures, which
//! cover only what remains. Which keys remain is read from the room version's rules.
//!
//! [specification]: https://spec.matrix.org/v1.19/client-server-api/#redactions

use ruma::room_version_rules::{RedactionRules, RoomVersionRules};

use super::{
    event::{Event, EventFormatError},
    raw_object::RawObject,
};

/// The redacted copy of an event, with the same event ID. Redacting it again changes nothing.
///
/// `unsigned.redacted_because` belongs to the client format, where the caller adds it.
pub fn redact(event: &Event, rules: &RoomVersionRules) -> Result<Event, EventFormatError> {
    let mut object = RawObject::parse(event.json())?;
    redact_object(&mut object, event.event_type(), &rules.redaction)?;
    Event::from_stored(event.event_id().to_owned(), &object.to_json(), rules)
}

/// Redacts a whole event in place.
pub(super) fn redact_object(
    object: &mut RawObject<'_>,
    event_type: &str,
    rules: &RedactionRules,
) -> Result<(), serde_json::Error> {
    object.retain(|key| is_event_key_kept(key, rules));
    if let Some(content) = object.remove("content") {
        let content = redact_content(&content, event_type, rules)?;
        object.insert("content", content);
    }
    Ok(())
}

/// The redacted text of an event's content.
pub fn redact_content(
    content: &str,
    event_type: &str,
    rules: &RedactionRules,
) -> Result<String, serde_json::Error> {
    let mut object = RawObject::parse(content)?;
    object.retain(|key| is_content_key_kept(event_type, key, rules));
    // Of the third-party invite only the signed part remains (room version 11).
    if event_type == "m.room.member"
        && let Some(invite) = object.remove("third_party_invite")
        && invite.starts_with('{')
    {
        let mut invite = RawObject::parse(&invite)?;
        invite.retain(|key| key == "signed");
        object.insert("third_party_invite", invite.to_json());
    }
    Ok(object.to_json())
}

/// Whether a top-level key of an event survives redaction.
fn is_event_key_kept(key: &str, rules: &RedactionRules) -> bool {
    match key {
        "event_id" | "type" | "room_id" | "sender" | "state_key" | "content" | "hashes" | "signatures"
        | "depth" | "prev_events" | "auth_events" | "origin_server_ts" => true,
        "origin" | "membership" | "prev_state" => rules.keep_origin_membership_prev_state,
        _ => false,
    }
}

/// Whether a key of the content of an event of this type survives redaction.
fn is_content_key_kept(event_type: &str, key: &str, rules: &RedactionRules) -> bool {
    match (event_type, key) {
        ("m.room.member", "membership")
        | ("m.room.create", "creator")
        | ("m.room.join_rules", "join_rule")
        | ("m.room.history_visibility", "history_visibility")
        | (
            "m.room.power_levels",
            "ban" | "events" | "events_default" | "kick" | "redact" | "state_default" | "users"
            | "users_default",
        ) => true,
        ("m.room.member", "join_authorised_via_users_server") => {
            rules.keep_room_member_join_authorised_via_users_server
        }
        ("m.room.member", "third_party_invite") => rules.keep_room_member_third_party_invite_signed,
        ("m.room.create", _) => rules.keep_room_create_content,
        ("m.room.join_rules", "allow") => rules.keep_room_join_rules_allow,
        ("m.room.power_levels", "invite") => rules.keep_room_power_levels_invite,
        ("m.room.aliases", "aliases") => rules.keep_room_aliases_aliases,
        ("m.room.redaction", "redacts") => rules.keep_room_redaction_redacts,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
