//! The state of rooms that the user is invited to or knocks on, as far as it was shown.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    storage::{Read, ShortRoomId, ShortUserId, StorageError, tables::STRIPPED_STATE},
    sync::v3::SyncSources,
};

#[derive(Deserialize)]
struct Stripped {
    #[serde(rename = "type")]
    event_type: String,
    #[serde(default)]
    content: serde_json::Value,
}

/// The stripped events.
pub(super) fn events(
    sources: &SyncSources,
    user: ShortUserId,
    room: ShortRoomId,
) -> Result<Vec<Box<RawValue>>, StorageError> {
    let state = sources.storage.get(&STRIPPED_STATE, &(user, room))?;
    Ok(state.map(|state| state.0).unwrap_or_default())
}

/// True when an event of this type was shown.
pub(super) fn has_event(
    sources: &SyncSources,
    user: ShortUserId,
    room: ShortRoomId,
    event_type: &str,
) -> Result<bool, StorageError> {
    Ok(parsed(sources, user, room)?.iter().any(|event| event.event_type == event_type))
}

/// The type of the room, if its create event was shown and names one.
pub(super) fn room_type(
    sources: &SyncSources,
    user: ShortUserId,
    room: ShortRoomId,
) -> Result<Option<String>, StorageError> {
    let events = parsed(sources, user, room)?;
    let create = events.iter().find(|event| event.event_type == "m.room.create");
    Ok(create.and_then(|create| create.content.get("type")?.as_str().map(ToOwned::to_owned)))
}

/// What is no event is skipped: other servers send what they like.
fn parsed(
    sources: &SyncSources,
    user: ShortUserId,
    room: ShortRoomId,
) -> Result<Vec<Stripped>, StorageError> {
    let events = events(sources, user, room)?;
    Ok(events.iter().filter_map(|event| serde_json::from_str(event.get()).ok()).collect())
}
