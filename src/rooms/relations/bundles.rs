//! What is told of an event's relations with the event itself ([aggregations]): its newest valid edit, its
//! thread, what refers to it.
//!
//! An event to which nothing relates, which is nearly every one, costs one look into a table that has no row
//! for it.
//!
//! [aggregations]: https://spec.matrix.org/v1.19/client-server-api/#aggregations-of-child-events

use std::{cmp::Reverse, collections::HashSet};

use ruma::{OwnedEventId, OwnedUserId};

use super::{RoomError, RoomView, VisibleEvent, is_valid_edit, limits, relation};
use crate::{
    storage::{
        Direction, Read, ShortEventId, Storage, TimelineKey,
        records::RelationSummary,
        tables::{RELATION_SUMMARIES, RELATIONS, THREAD_PARTICIPANTS},
    },
    users::ignored_users,
};

/// An event's thread, for one viewer.
#[derive(Debug)]
pub(in crate::rooms) struct Thread {
    /// Its newest event by somebody whom the viewer does not ignore.
    pub(in crate::rooms) latest: VisibleEvent,
    /// How many events are in it, without those of users whom the viewer ignores.
    pub(in crate::rooms) events: u64,
    /// Whether the viewer takes part.
    pub(in crate::rooms) participated: bool,
}

/// What is told of one event's relations.
#[derive(Debug, Default)]
pub(in crate::rooms) struct Bundle {
    /// The newest valid edit.
    pub(in crate::rooms) edit: Option<VisibleEvent>,
    /// The thread that the event is the root of.
    pub(in crate::rooms) thread: Option<Thread>,
    /// The events that refer to it, oldest first.
    pub(in crate::rooms) references: Vec<OwnedEventId>,
}

/// Reads bundles. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::rooms) struct Bundles {
    storage: Storage,
}

impl Bundles {
    /// Over `storage`.
    pub(in crate::rooms) fn new(storage: Storage) -> Self {
        Self { storage }
    }

    /// What is told of an event's relations; `None` when nothing is.
    pub(in crate::rooms) fn of(
        &self,
        view: &RoomView<'_>,
        event: &VisibleEvent,
    ) -> Result<Option<Bundle>, RoomError> {
        // "State events do not currently receive bundled aggregations."
        if event.event().is_state() {
            return Ok(None);
        }
        let Some(summary) = self.storage.get(&RELATION_SUMMARIES, &event.short())? else { return Ok(None) };
        let viewer = view.viewer();
        let ignored = ignored_users(&self.storage, viewer.user, &viewer.user_id)?;
        Ok(Some(Bundle {
            edit: self.edit(view, event, &summary)?,
            thread: self.thread(view, event, &summary, &ignored)?,
            references: self.references(view, event.short(), &summary, &ignored)?,
        }))
    }

    /// The newest valid edit of an event that the viewer may see.
    pub(in crate::rooms) fn newest_edit(
        &self,
        view: &RoomView<'_>,
        event: &VisibleEvent,
    ) -> Result<Option<VisibleEvent>, RoomError> {
        if event.event().is_state() {
            return Ok(None);
        }
        let summary = self.storage.get(&RELATION_SUMMARIES, &event.short())?;
        summary.map_or(Ok(None), |summary| self.edit(view, event, &summary))
    }

    fn shown(&self, view: &RoomView<'_>, short: ShortEventId) -> Result<Option<VisibleEvent>, RoomError> {
        let durable = self.storage.position();
        Ok(view.sees_short(short)?.filter(|event| event.meta().position <= durable))
    }

    /// The valid edit of the greatest time, and among those of one time of the greatest id.
    fn edit(
        &self,
        view: &RoomView<'_>,
        original: &VisibleEvent,
        summary: &RelationSummary,
    ) -> Result<Option<VisibleEvent>, RoomError> {
        if original.meta().redacted_by.is_some() {
            return Ok(None);
        }
        let mut edits = Vec::with_capacity(summary.edits.len());
        for (_, edit) in &summary.edits {
            let edit = self.shown(view, *edit)?;
            edits.extend(edit.filter(|edit| is_valid_edit(original.event(), edit.event())));
        }
        edits.sort_by_cached_key(|edit| {
            Reverse((edit.event().origin_server_ts(), edit.event().event_id().to_owned()))
        });
        Ok(edits.into_iter().next())
    }

    fn thread(
        &self,
        view: &RoomView<'_>,
        root: &VisibleEvent,
        summary: &RelationSummary,
        ignored: &HashSet<OwnedUserId>,
    ) -> Result<Option<Thread>, RoomError> {
        if summary.thread_events == 0 {
            return Ok(None);
        }
        let Some(latest) = self.latest(view, root.short(), summary.thread_latest, ignored)? else {
            return Ok(None);
        };
        let mut events = summary.thread_events;
        for user in ignored.iter().take(limits::IGNORED_USERS_COUNTED_MAX) {
            if let Some(user) = self.storage.short_user_id(user)? {
                let sent = self.storage.get(&THREAD_PARTICIPANTS, &(root.short(), user))?;
                events = events.saturating_sub(sent.unwrap_or_default());
            }
        }
        let viewer = view.viewer().user;
        let participated = root.meta().sender == viewer
            || self.storage.contains(&THREAD_PARTICIPANTS, &(root.short(), viewer))?;
        Ok(Some(Thread { latest, events, participated }))
    }

    /// The newest event of a thread that the viewer sees and nobody ignored has sent.
    fn latest(
        &self,
        view: &RoomView<'_>,
        root: ShortEventId,
        newest: TimelineKey,
        ignored: &HashSet<OwnedUserId>,
    ) -> Result<Option<VisibleEvent>, RoomError> {
        let until = (root, TimelineKey(newest.0.saturating_add(1)), ShortEventId(0));
        let range = RELATIONS.prefix_until(&(root,), &until);
        let below = self.storage.scan(&RELATIONS, &range, Direction::Backward);
        for row in below.take(limits::RELATIONS_PAGE_MAX) {
            let ((_, _, child), row) = row?;
            if row.depth != 1 || row.rel_type != relation::THREAD {
                continue;
            }
            if let Some(event) = self.shown(view, child)?
                && !ignored.contains(event.event().sender())
            {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    fn references(
        &self,
        view: &RoomView<'_>,
        event: ShortEventId,
        summary: &RelationSummary,
        ignored: &HashSet<OwnedUserId>,
    ) -> Result<Vec<OwnedEventId>, RoomError> {
        let mut references = Vec::new();
        if summary.references == 0 {
            return Ok(references);
        }
        let below = self.storage.scan(&RELATIONS, &RELATIONS.prefix(&(event,)), Direction::Forward);
        for row in below.take(limits::RELATIONS_MOVED_MAX) {
            let ((_, _, child), row) = row?;
            if row.depth != 1 || row.rel_type != relation::REFERENCE {
                continue;
            }
            if let Some(child) = self.shown(view, child)?
                && !ignored.contains(child.event().sender())
            {
                references.push(child.event().event_id().to_owned());
            }
            if references.len() >= limits::REFERENCES_TOLD_MAX {
                break;
            }
        }
        Ok(references)
    }
}
