//! Rule 1, for `m.room.create`, and rule 4, which the create event sets for all others.

use ruma::{OwnedUserId, room_version_rules::RoomVersionRules};

use super::{
    AuthRefusal, AuthState,
    state::{Check, Outcome},
};
use crate::matrix::{event::Event, raw_object::RawObject, room_versions};

/// Rule 1. It depends on nothing but the event.
pub(super) fn check(event: &Event, rules: &RoomVersionRules) -> Result<(), AuthRefusal> {
    // 1.1. If it has any prev_events, reject.
    if !event.prev_events().is_empty() {
        return Err(AuthRefusal::CreateHasPrevEvents);
    }
    // 1.2. If the event has a room_id, reject: the event format has refused it before.
    //      v1 to v11: If the domain of the room_id does not match the domain of the sender, reject.
    if !rules.authorization.room_create_event_id_as_room_id
        && event.room_id().server_name() != Some(event.sender().server_name())
    {
        return Err(AuthRefusal::CreateForOtherServer(event.room_id().to_owned()));
    }
    // 1.3. If content.room_version is present and is not a recognised version, reject.
    let version = room_versions::of_create_content(event.content_json())
        .map_err(|_| AuthRefusal::UnknownRoomVersion("of the create event".to_owned()))?;
    if room_versions::rules(&version).is_none() {
        return Err(AuthRefusal::UnknownRoomVersion(version.as_str().to_owned()));
    }
    let content = RawObject::parse(event.content_json()).unwrap_or_default();
    // v1 to v10: 1.4. If content has no creator property, reject.
    if !rules.authorization.use_room_create_sender && content.get("creator").is_none() {
        return Err(AuthRefusal::CreateWithoutCreator);
    }
    // 1.4. If additional_creators is present in content and is not an array of strings where each
    //      string passes the user ID validation applied to sender, reject.
    if rules.authorization.additional_room_creators
        && let Some(additional) = content.get("additional_creators")
        && serde_json::from_str::<Vec<OwnedUserId>>(additional).is_err()
    {
        return Err(AuthRefusal::InvalidAdditionalCreators);
    }
    // 1.5. Otherwise, allow.
    Ok(())
}

/// Rule 4.
pub(super) fn check_federation<S: AuthState>(check: &Check<'_, S>) -> Outcome<S> {
    // 4. If the content of the m.room.create event in the room state has the property m.federate set to
    //    false, and the sender domain of the event does not match the sender domain of the create
    //    event, reject.
    let is_federated = check.create.content_field::<bool>("m.federate").unwrap_or(true);
    if !is_federated && check.event.sender().server_name() != check.create.sender().server_name() {
        return Err(AuthRefusal::NotFederated.into());
    }
    Ok(())
}
