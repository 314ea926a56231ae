//! Events that are sticky for a while (MSC4354), of all rooms that the user is in (MSC4480). The client says up to where
//! it has them.

use super::{
    look::Look,
    response::{SlidingResponse, StickyResult},
};
use crate::{
    rooms::{EventForm, VisibleEvent, sticky_events},
    storage::{ShortRoomId, StreamPosition, records::Membership},
    sync::{SyncError, limits},
};

impl Look<'_> {
    /// Those since the client's last ones that the rooms' timelines don't show, oldest first.
    pub(super) fn sticky_events(&self, response: &mut SlidingResponse) -> Result<(), SyncError> {
        let wanted = &self.request.body.extensions.sticky_events;
        if wanted.enabled != Some(true) {
            return Ok(());
        }
        let since = wanted.since()?.map(StreamPosition);
        let limit = wanted.limit.map_or(limits::STICKY_EVENTS_MAX, |limit| {
            usize::try_from(limit).unwrap_or(usize::MAX).clamp(1, limits::STICKY_EVENTS_MAX)
        });
        let sources = self.sources();
        let now_ms = sources.client_events.now_ms();
        let mut found = Vec::new();
        for (room, since) in self.rooms_with_news(since)? {
            let span = (since, self.until.position);
            let events = sticky_events(&sources.storage, room, span, now_ms)?;
            found.extend(events.into_iter().map(|(position, event)| (position, room, event)));
        }
        found.sort_unstable();
        let mut told = StickyResult::default();
        let end =
            if found.len() > limit { found.get(limit - 1).map(|(position, ..)| *position) } else { None };
        for (_, room, event) in found.into_iter().take(limit) {
            let view = sources.visibility.view(self.viewer(), room)?;
            let Some(event) = view.sticky_event(event)? else { continue };
            if self.ignored.contains(event.event().sender()) || is_shown(response, &event) {
                continue;
            }
            let text = sources.client_events.write::<()>(&view, &event, EventForm::SYNC_TIMELINE)?;
            let room_id = event.event().room_id().to_owned();
            told.rooms.entry(room_id).or_default().events.push(text.into_json());
        }
        if since.is_none() || !told.rooms.is_empty() {
            told.next_batch = Some(end.unwrap_or(self.until.position).0.to_string());
        }
        response.extensions.sticky_events = told;
        Ok(())
    }

    /// The rooms that the user is in and that may have sticky events which the client does not know, with the
    /// position after which those came.
    fn rooms_with_news(
        &self,
        since: Option<StreamPosition>,
    ) -> Result<Vec<(ShortRoomId, StreamPosition)>, SyncError> {
        let (index, user) = (&self.sources().index, self.viewer().user);
        let mut rooms = Vec::new();
        match since {
            None => {
                for row in index.rooms_of(user) {
                    let (room, row) = row?;
                    if row.membership == Membership::Join {
                        rooms.push((room, StreamPosition(0)));
                    }
                }
            }
            Some(since) => {
                for room in self.sync.changed_rooms().on_server(since)? {
                    let Some(row) = index.membership(user, room)? else { continue };
                    if row.membership == Membership::Join {
                        // Who has joined meanwhile knows none of them.
                        let is_new = row.position > since;
                        rooms.push((room, if is_new { StreamPosition(0) } else { since }));
                    }
                }
            }
        }
        Ok(rooms)
    }
}

/// Whether the timeline of the answer has an event.
fn is_shown(response: &SlidingResponse, event: &VisibleEvent) -> bool {
    let event = event.event();
    let Some(room) = response.rooms.get(event.room_id()) else { return false };
    let id = format!("\"event_id\":\"{}\"", event.event_id());
    room.timeline.iter().any(|shown| shown.get().contains(&id))
}
