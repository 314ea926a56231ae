//! What a user who is invited or knocks is shown of the room (client-server API, "Stripped state").

use std::sync::Arc;

use ruma::{ServerName, UserId};
use serde_json::value::RawValue;

use crate::{
    matrix::{client_format, event::Event},
    rooms::RoomError,
    storage::records::Membership,
};

/// The state that tells what room this is.
const IDENTIFYING_TYPES: [&str; 7] = [
    "m.room.create",
    "m.room.name",
    "m.room.avatar",
    "m.room.topic",
    "m.room.join_rules",
    "m.room.canonical_alias",
    "m.room.encryption",
];

/// The stripped state for the target of `event`, when it is the invite or knock of a user of `server`: the
/// identifying state, the sender's member event (who invites) and the target's own. `state_event` reads the
/// state after the event.
pub(in crate::rooms) fn shown_to_target(
    server: &ServerName,
    event: &Event,
    state_event: impl Fn(&str, &str) -> Result<Option<Arc<Event>>, RoomError>,
) -> Result<Option<Vec<Box<RawValue>>>, RoomError> {
    let Some(target) = local_target(server, event) else { return Ok(None) };
    let mut shown = identifying(&state_event)?;
    if event.sender() != target {
        shown.extend(state_event("m.room.member", event.sender().as_str())?);
    }
    shown.extend(state_event("m.room.member", target.as_str())?);
    let stripped = shown.iter().map(|event| {
        client_format::stripped_state(event).map_err(|source| RoomError::CorruptEvent {
            event_id: event.event_id().to_owned(),
            source: source.into(),
        })
    });
    stripped.collect::<Result<_, _>>().map(Some)
}

/// The state that tells what room this is.
pub(super) fn identifying(
    state_event: impl Fn(&str, &str) -> Result<Option<Arc<Event>>, RoomError>,
) -> Result<Vec<Arc<Event>>, RoomError> {
    let mut shown = Vec::with_capacity(IDENTIFYING_TYPES.len() + 2);
    for event_type in IDENTIFYING_TYPES {
        shown.extend(state_event(event_type, "")?);
    }
    Ok(shown)
}

fn local_target<'e>(server: &ServerName, event: &'e Event) -> Option<&'e UserId> {
    let membership = Membership::of(&event.membership()?.as_str().into())?;
    let target = <&UserId>::try_from(event.state_key()?).ok()?;
    let is_shown = matches!(membership, Membership::Invite | Membership::Knock);
    (is_shown && target.server_name() == server).then_some(target)
}
