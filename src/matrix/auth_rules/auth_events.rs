//! The state-independent rules: rule 1, and for all other events rules 2 and 3 about their auth events.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use ruma::{EventId, room_version_rules::RoomVersionRules};

use super::{AuthRefusal, auth_types, create};
use crate::matrix::event::{Event, create_event_id_of_room};

/// An event that another refers to, with what its own checks came to.
#[derive(Debug, Clone)]
pub struct AuthEvent {
    /// The event.
    pub event: Arc<Event>,
    /// Whether it was rejected (not: soft-failed) when it was received.
    pub rejected: bool,
}

/// Checks the rules that depend on no state: rule 1 for a create event, rules 2 and 3 for all others.
///
/// `auth_events` holds what the caller found of [`Event::auth_events`]; one that is missing refuses the
/// event, so fetch them first. `create` is the room's create event, needed in room version 12 only,
/// where it is not among the auth events.
pub fn check_state_independent(
    event: &Event,
    rules: &RoomVersionRules,
    auth_events: &[AuthEvent],
    create: Option<&AuthEvent>,
) -> Result<(), AuthRefusal> {
    // 1. If type is m.room.create:
    if event.event_type() == "m.room.create" {
        return create::check(event, rules);
    }
    // 2. If the event's room_id is not an event ID for an accepted (not rejected) m.room.create event,
    //    with the sigil ! instead of $, reject. (Not before v12.)
    if rules.authorization.room_create_event_id_as_room_id {
        let expected = create_event_id_of_room(event.room_id());
        create
            .filter(|create| {
                !create.rejected
                    && create.event.event_type() == "m.room.create"
                    && expected.as_deref() == Some(create.event.event_id())
            })
            .ok_or(AuthRefusal::NoCreateEvent)?;
    }
    // 3. Considering the event's auth_events:
    check_auth_events(event, rules, auth_events)
}

/// Rule 3 (v1 to v11: rule 2).
fn check_auth_events(
    event: &Event,
    rules: &RoomVersionRules,
    auth_events: &[AuthEvent],
) -> Result<(), AuthRefusal> {
    let known: HashMap<&EventId, &AuthEvent> =
        auth_events.iter().map(|known| (known.event.event_id(), known)).collect();
    let expected =
        auth_types(event.event_type(), event.sender(), event.state_key(), event.content_json(), rules);
    let mut seen = HashSet::new();
    let mut has_create = false;
    for event_id in event.auth_events() {
        let entry = known.get(&**event_id).ok_or_else(|| AuthRefusal::MissingAuthEvent(event_id.clone()))?;
        let entry_type = entry.event.event_type();
        let state_key =
            entry.event.state_key().ok_or_else(|| AuthRefusal::UnexpectedAuthEvent(event_id.clone()))?;
        // 3.1. If there are duplicate entries for a given type and state_key pair, reject.
        if !seen.insert((entry_type, state_key)) {
            return Err(AuthRefusal::DuplicateAuthEvent(event_id.clone()));
        }
        // 3.2. If there are entries whose type and state_key don't match those specified by the auth
        //      events selection algorithm, reject.
        let is_expected =
            expected.iter().any(|(expected_type, key)| *expected_type == entry_type && key == state_key);
        if !is_expected {
            return Err(AuthRefusal::UnexpectedAuthEvent(event_id.clone()));
        }
        // 3.3. If there are entries which were themselves rejected, reject.
        if entry.rejected {
            return Err(AuthRefusal::RejectedAuthEvent(event_id.clone()));
        }
        has_create |= entry_type == "m.room.create";
        // 3.5. If any event in auth_events has a room_id which does not match that of the event being
        //      authorised, reject.
        if entry.event.room_id() != event.room_id() {
            return Err(AuthRefusal::AuthEventOfOtherRoom(event_id.clone()));
        }
    }
    // v1 to v11: 2.4. If there is no m.room.create event among the entries, reject.
    if !rules.authorization.room_create_event_id_as_room_id && !has_create {
        return Err(AuthRefusal::NoCreateEvent);
    }
    Ok(())
}
