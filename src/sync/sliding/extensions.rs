//! What is told beside events: account data, receipts, typing.
//!
//! Each is told of the rooms that the request names for it, and remembered for itself: a room may have been told
//! without its receipts.

use std::collections::{BTreeMap, HashSet};

use ruma::events::receipt::ReceiptEventContent;
use serde::Serialize;
use serde_json::value::to_raw_value;

use super::{
    connection::{RoomTold, Told},
    look::{Look, Visit},
    response::{Extensions, SlidingResponse},
};
use crate::{
    rooms::{Receipts, VisibleEvent},
    storage::{Read, ShortEventId, ShortRoomId, records::ReceiptRow},
    sync::{SyncError, v3::response::EventJson},
    users::{AccountData, AccountDataEntry},
};

/// An event that consists of a type and a content.
#[derive(Serialize)]
struct DataEvent<'a, C> {
    #[serde(rename = "type")]
    event_type: &'a str,
    content: C,
}

fn data_event(event_type: &str, content: impl Serialize) -> Result<EventJson, serde_json::Error> {
    to_raw_value(&DataEvent { event_type, content })
}

fn data_events(entries: &[AccountDataEntry]) -> Result<Vec<EventJson>, serde_json::Error> {
    entries.iter().map(|entry| data_event(&entry.event_type, &entry.content)).collect()
}

#[derive(Serialize)]
struct TypingContent {
    user_ids: Vec<ruma::OwnedUserId>,
}

impl Look<'_> {
    /// Account data that belongs to no room: all of it the first time, then what changed. True when the client
    /// has been told now.
    pub(super) fn global_account_data(&self, extensions: &mut Extensions) -> Result<bool, SyncError> {
        if !self.request.body.extensions.account_data.is_enabled() {
            return Ok(false);
        }
        if self.told.account_data {
            let changed = self.changes.of_user.account_data.iter().filter(|entry| entry.room.is_none());
            let events = changed.map(|entry| data_event(&entry.event_type, &entry.content));
            extensions.account_data.global = events.collect::<Result<_, _>>()?;
            return Ok(true);
        }
        let entries = AccountData::global(&self.sources().storage, self.viewer().user)?;
        extensions.account_data.global = data_events(&entries)?;
        // Clients take the push rules from here, even if they were never changed.
        if !entries.iter().any(|entry| entry.event_type == "m.push_rules") {
            let content = self.sources().push_rules.default_content(&self.viewer().user_id)?;
            extensions.account_data.global.push(data_event("m.push_rules", &content)?);
        }
        Ok(true)
    }

    /// The user's account data of a room.
    pub(super) fn room_account_data(
        &self,
        visit: &Visit,
        before: Option<&RoomTold>,
        told: &mut RoomTold,
        response: &mut SlidingResponse,
    ) -> Result<(), SyncError> {
        if !visit.rule.account_data {
            return Ok(());
        }
        told.account_data = Told::Live;
        let storage = &self.sources().storage;
        let events = match before.map(|before| before.account_data).unwrap_or_default() {
            Told::Live => {
                let all = self.changes.of_user.account_data.iter();
                let changed = all.filter(|entry| entry.room == Some(visit.room));
                let events = changed.map(|entry| data_event(&entry.event_type, &entry.content));
                events.collect::<Result<Vec<_>, _>>()?
            }
            // A room has few entries: who missed some gets all.
            Told::Never | Told::Until(_) => {
                data_events(&AccountData::in_room(storage, self.viewer().user, visit.room)?)?
            }
        };
        if !events.is_empty() {
            response.extensions.account_data.rooms.insert(storage.room_id(visit.room)?, events);
        }
        Ok(())
    }

    /// Receipts and typing of a room that the user is in. `moved` are the receipts since the room's events were
    /// told.
    #[allow(clippy::too_many_arguments, reason = "what a look at the room has found")]
    pub(super) fn room_extensions(
        &self,
        visit: &Visit,
        before: Option<&RoomTold>,
        told: &mut RoomTold,
        timeline: &[VisibleEvent],
        moved: &[ReceiptRow],
        is_initial: bool,
        response: &mut SlidingResponse,
    ) -> Result<(), SyncError> {
        if visit.rule.receipts {
            told.receipts = Told::Live;
            let same_start = before.is_some_and(|before| !is_initial && before.receipts == before.events);
            let receipts = if same_start {
                moved.to_vec()
            } else {
                self.untold_receipts(visit, before, timeline, is_initial)?
            };
            if let Some(event) = self.receipt_event(&receipts)? {
                response.extensions.receipts.rooms.insert(self.sources().storage.room_id(visit.room)?, event);
            }
        }
        if visit.rule.typing
            && let Some(event) = self.typing_event(visit.room, before.is_some())?
        {
            response.extensions.typing.rooms.insert(self.sources().storage.room_id(visit.room)?, event);
        }
        Ok(())
    }

    /// The receipts that the client does not know. Of a room that is new to the client, those of the events in
    /// the timeline, and the user's own: a large room has one of each member.
    fn untold_receipts(
        &self,
        visit: &Visit,
        before: Option<&RoomTold>,
        timeline: &[VisibleEvent],
        is_initial: bool,
    ) -> Result<Vec<ReceiptRow>, SyncError> {
        let storage = &self.sources().storage;
        let (user, until) = (self.viewer().user, self.until.position);
        let told = before.map(|before| before.receipts).unwrap_or_default();
        match told.position(self.last()).filter(|_| !is_initial) {
            Some(since) if since >= until => Ok(Vec::new()),
            Some(since) => Ok(Receipts::since(storage, visit.room, since, until, user)?),
            None => {
                let mut receipts = Receipts::all(storage, visit.room, until, user)?;
                if is_initial {
                    let shown: HashSet<ShortEventId> = timeline.iter().map(VisibleEvent::short).collect();
                    receipts.retain(|receipt| receipt.user == user || shown.contains(&receipt.event));
                }
                Ok(receipts)
            }
        }
    }

    /// All receipts in one event, as the answer has room for one. Where a user has read up to the same event in
    /// several threads, the receipt that counts for most of the room stands for the others.
    fn receipt_event(&self, receipts: &[ReceiptRow]) -> Result<Option<EventJson>, SyncError> {
        let mut merged: Option<ReceiptEventContent> = None;
        // One content for each thread, in the order of their names: first of the whole room.
        for content in Receipts::contents(&self.sources().storage, receipts)? {
            let merged = merged.get_or_insert_with(|| ReceiptEventContent(BTreeMap::new()));
            for (event, by_kind) in content.0 {
                let of_event = merged.0.entry(event).or_default();
                for (kind, by_user) in by_kind {
                    let of_kind = of_event.entry(kind).or_default();
                    for (user, receipt) in by_user {
                        of_kind.entry(user).or_insert(receipt);
                    }
                }
            }
        }
        Ok(merged.map(|content| data_event("m.receipt", content)).transpose()?)
    }

    /// Who is typing, if the client does not know it yet.
    fn typing_event(&self, room: ShortRoomId, knows_room: bool) -> Result<Option<EventJson>, SyncError> {
        let typing = &self.sources().typing;
        let users = match self.since {
            Some(since) if knows_room => typing.typing_since(room, since.typing),
            _ => Some(typing.typists(room)).filter(|users| !users.is_empty()),
        };
        let Some(users) = users else { return Ok(None) };
        let ids = users.into_iter().map(|user| self.sources().storage.user_id(user));
        let user_ids = ids.collect::<Result<Vec<_>, _>>()?;
        Ok(Some(data_event("m.typing", TypingContent { user_ids })?))
    }
}
