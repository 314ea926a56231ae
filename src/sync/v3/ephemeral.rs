//! What is no part of a room's history: typing, receipts, account data.

use ruma::RoomId;
use serde::Serialize;
use serde_json::value::to_raw_value;

use super::{Session, SyncError, response::EventJson};
use crate::{
    rooms::Receipts,
    storage::{Read, ShortRoomId, StreamPosition},
    sync::filter::TypeFilter,
    users::AccountDataEntry,
};

/// An event that consists of a type and a content.
#[derive(Serialize)]
struct DataEvent<'a, C> {
    #[serde(rename = "type")]
    event_type: &'a str,
    content: C,
}

/// Such an event as JSON.
pub(super) fn data_event(event_type: &str, content: impl Serialize) -> Result<EventJson, serde_json::Error> {
    to_raw_value(&DataEvent { event_type, content })
}

/// Account data as the filter wants it.
pub(super) fn account_data_events(
    entries: &[AccountDataEntry],
    filter: &TypeFilter,
) -> Result<Vec<EventJson>, serde_json::Error> {
    let wanted = entries.iter().filter(|entry| filter.allows_type(&entry.event_type));
    wanted.map(|entry| data_event(&entry.event_type, &entry.content)).collect()
}

#[derive(Serialize)]
struct TypingContent {
    user_ids: Vec<ruma::OwnedUserId>,
}

impl Session<'_> {
    /// Who is typing, and receipts that moved after `since` (all, if the client does not know the room); with
    /// it, whether the user's own receipts are among them.
    pub(super) fn ephemeral(
        &self,
        room: ShortRoomId,
        room_id: &RoomId,
        since: Option<StreamPosition>,
    ) -> Result<(Vec<EventJson>, bool), SyncError> {
        let storage = &self.sources.storage;
        let user = self.viewer().user;
        let receipts = match since {
            Some(since) if since >= self.until() => Vec::new(),
            Some(since) => Receipts::since(storage, room, since, self.until(), user)?,
            None => Receipts::all(storage, room, self.until(), user)?,
        };
        let has_read = receipts.iter().any(|receipt| receipt.user == user);
        let filter = &self.filter().ephemeral;
        if !filter.allows_room(room_id) {
            return Ok((Vec::new(), has_read));
        }
        let mut events = Vec::new();
        if filter.allows_type("m.typing") {
            events.extend(self.typing(room, since.is_some())?);
        }
        if filter.allows_type("m.receipt") {
            for content in Receipts::contents(storage, &receipts)? {
                events.push(data_event("m.receipt", content)?);
            }
        }
        Ok((events, has_read))
    }

    /// Who is typing, if the client does not know it yet.
    fn typing(&self, room: ShortRoomId, knows_room: bool) -> Result<Option<EventJson>, SyncError> {
        let typing = &self.sources.typing;
        let users = match self.since {
            Some(since) if knows_room => typing.typing_since(room, since.typing),
            _ => Some(typing.typists(room)).filter(|users| !users.is_empty()),
        };
        let Some(users) = users else { return Ok(None) };
        let ids = users.into_iter().map(|user| self.sources.storage.user_id(user));
        let user_ids = ids.collect::<Result<Vec<_>, _>>()?;
        Ok(Some(data_event("m.typing", TypingContent { user_ids })?))
    }
}
