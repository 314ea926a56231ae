//! Auth events selection ([specification]): which state events give the sender permission.
//!
//! [specification]: https://spec.matrix.org/v1.19/server-server-api/#auth-events-selection

use ruma::{UserId, room_version_rules::RoomVersionRules};
use serde_json::Value;

use crate::matrix::raw_object::RawObject;

/// The `(type, state_key)` pairs of the state events that belong into an event's `auth_events`, as far
/// as the room's state has them. `content` is the text of the event's content. At most seven, without
/// duplicates.
pub fn auth_types(
    event_type: &str,
    sender: &UserId,
    state_key: Option<&str>,
    content: &str,
    rules: &RoomVersionRules,
) -> Vec<(&'static str, String)> {
    let mut types = Vec::with_capacity(7);
    // The auth_events for the m.room.create event in a room is empty.
    if event_type == "m.room.create" {
        return types;
    }
    // Depending on the room version, the m.room.create event.
    if rules.event_format.allow_room_create_in_auth_events {
        types.push(("m.room.create", String::new()));
    }
    // The current m.room.power_levels event, if any.
    types.push(("m.room.power_levels", String::new()));
    // The sender's current m.room.member event, if any.
    types.push(("m.room.member", sender.as_str().to_owned()));
    // If type is m.room.member:
    if event_type == "m.room.member"
        && let Some(target) = state_key
    {
        add_member_types(&mut types, target, content, rules);
    }
    types
}

fn add_member_types(
    types: &mut Vec<(&'static str, String)>,
    target: &str,
    content: &str,
    rules: &RoomVersionRules,
) {
    let content = RawObject::parse(content).unwrap_or_default();
    let field = |key: &str| content.get(key).and_then(|json| serde_json::from_str::<Value>(json).ok());
    let membership = field("membership");
    let membership = membership.as_ref().and_then(Value::as_str).unwrap_or_default();
    // The target's current m.room.member event, if any.
    push_new(types, "m.room.member", target);
    // If membership is join, invite or knock, the current m.room.join_rules event, if any.
    if matches!(membership, "join" | "invite" | "knock") {
        push_new(types, "m.room.join_rules", "");
    }
    // If membership is invite and content contains a third_party_invite property, the current
    // m.room.third_party_invite event with state_key matching content.third_party_invite.signed.token.
    if membership == "invite"
        && let Some(invite) = field("third_party_invite")
        && let Some(token) = invite.pointer("/signed/token").and_then(Value::as_str)
    {
        push_new(types, "m.room.third_party_invite", token);
    }
    // If membership is join, content.join_authorised_via_users_server is present, and the room version
    // supports restricted rooms, then the m.room.member event with that state_key.
    if membership == "join"
        && rules.authorization.restricted_join_rule
        && let Some(user) = field("join_authorised_via_users_server")
        && let Some(user) = user.as_str()
    {
        push_new(types, "m.room.member", user);
    }
}

fn push_new(types: &mut Vec<(&'static str, String)>, event_type: &'static str, state_key: &str) {
    if !types.iter().any(|(known_type, known_key)| *known_type == event_type && known_key == state_key) {
        types.push((event_type, state_key.to_owned()));
    }
}
