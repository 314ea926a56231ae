//! Events that relate to others ([relationships], [threading]): the relations of an event in pages, the
//! threads of a room, and what is told of an event's relations with the event itself.
//!
//! Everything is read from rows that were written with the events (`index`), so a page costs the page.
//! Nothing here decides who sees what: events come from a [`RoomView`]. Main type: [`Relations`].
//!
//! [relationships]: https://spec.matrix.org/v1.19/client-server-api/#forming-relationships-between-events
//! [threading]: https://spec.matrix.org/v1.19/client-server-api/#threading

mod bundles;
pub(super) mod index;
mod relation;
#[cfg(test)]
mod tests;
mod thread_list;

use ruma::{EventId, api::Direction as Order};

use super::{EventStore, PaginationToken, ReadError, RoomError, RoomView, Timelines, VisibleEvent, limits};
use crate::{
    matrix::event::Event,
    storage::{
        Direction, Read, ShortEventId, Storage, StorageError, TimelineKey,
        records::RelationRow,
        tables::{ANNOTATIONS, RELATIONS},
    },
};

pub(super) use self::{bundles::Bundles, relation::REPLACE};
pub use self::{relation::Relation, thread_list::ThreadsPage};

/// Which relations a client asks for.
#[derive(Debug, Clone)]
pub struct RelationsRequest {
    /// Where to start; `None` for the newest (backward) or oldest (forward) one.
    pub from: Option<PaginationToken>,
    /// Where to stop at the latest.
    pub to: Option<PaginationToken>,
    /// Which way to go.
    pub order: Order,
    /// The most events to return; kept between 1 and [`limits::RELATIONS_PAGE_MAX`].
    pub limit: usize,
    /// Only relations of this kind.
    pub rel_type: Option<String>,
    /// Only events of this type.
    pub event_type: Option<String>,
    /// Whether events that relate indirectly count.
    pub recurse: bool,
}

impl RelationsRequest {
    fn allows(&self, row: &RelationRow) -> bool {
        let wants = |wanted: &Option<String>, found: &str, same: bool| {
            wanted.as_deref().is_none_or(|wanted| wanted == found && same)
        };
        (row.depth == 1 || self.recurse)
            && wants(&self.rel_type, &row.rel_type, row.same_rel_type)
            && wants(&self.event_type, &row.event_type, row.same_event_type)
    }
}

/// A part of an event's relations, in the order asked for.
#[derive(Debug)]
pub struct RelationsPage {
    /// The events.
    pub events: Vec<VisibleEvent>,
    /// Where to go on; `None` when there is nothing more.
    pub next: Option<PaginationToken>,
}

/// Reads relations. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Relations {
    storage: Storage,
    timelines: Timelines,
}

impl Relations {
    /// Over the rooms' histories.
    pub fn new(storage: Storage, timelines: Timelines) -> Self {
        Self { storage, timelines }
    }

    /// A page of the events that relate to `parent`. [`ReadError::NotFound`] when the viewer may not see that.
    pub fn page(
        &self,
        view: &RoomView<'_>,
        parent: &EventId,
        request: &RelationsRequest,
    ) -> Result<RelationsPage, ReadError> {
        let parent = self.timelines.event(view, parent)?.short();
        let limit = request.limit.clamp(1, limits::RELATIONS_PAGE_MAX);
        let (first, last) = (TimelineKey(i64::MIN), TimelineKey(i64::MAX));
        let gap = |token: Option<PaginationToken>, otherwise| {
            token.map_or(Ok(otherwise), |token| self.timelines.gap(view, token))
        };
        let (low, high, direction) = match request.order {
            Order::Forward => (gap(request.from, first)?, gap(request.to, last)?, Direction::Forward),
            Order::Backward => (gap(request.to, first)?, gap(request.from, last)?, Direction::Backward),
        };
        let none = ShortEventId(0);
        let range = RELATIONS.between(&(parent, low, none), &(parent, high, none));
        let mut page = RelationsPage { events: Vec::new(), next: None };
        let mut reached = None;
        for (rows, row) in self.storage.scan(&RELATIONS, &range, direction).enumerate() {
            let ((_, key, child), row) = row?;
            if page.events.len() >= limit || rows >= limits::PAGE_ROWS_READ_MAX {
                page.next = reached;
                break;
            }
            reached = Some(match request.order {
                Order::Forward => PaginationToken::after(key),
                Order::Backward => PaginationToken::Before(key),
            });
            if request.allows(&row) {
                page.events.extend(self.shown(view, child)?);
            }
        }
        Ok(page)
    }

    /// The event, if the viewer may see it and no power cut can take it back.
    fn shown(&self, view: &RoomView<'_>, short: ShortEventId) -> Result<Option<VisibleEvent>, RoomError> {
        let durable = self.storage.position();
        Ok(view.sees_short(short)?.filter(|event| event.meta().position <= durable))
    }
}

/// True when `sender` has annotated the event in just this way already, and it still stands.
pub(super) fn is_annotated(
    reader: &impl Read,
    sender: &ruma::UserId,
    event_type: &str,
    relation: &Relation,
) -> Result<bool, StorageError> {
    let Some(key) = relation.key.as_deref().filter(|_| relation.rel_type == relation::ANNOTATION) else {
        return Ok(false);
    };
    let Some(sender) = reader.short_user_id(sender)? else { return Ok(false) };
    let Some(parent) = reader.short_event_id(&relation.parent)? else { return Ok(false) };
    reader.contains(&ANNOTATIONS, &(parent, sender, annotation_hash(event_type, key)))
}

/// True when the relation would start a thread from an event that relates to another one.
pub(super) fn is_thread_of_a_child(events: &EventStore, relation: &Relation) -> Result<bool, RoomError> {
    if relation.rel_type != relation::THREAD {
        return Ok(false);
    }
    let root = events.by_id(&relation.parent)?;
    Ok(root.is_some_and(|root| Relation::of(&root.event).is_some()))
}

/// What a reaction is known by: half of a SHA-256 is enough to tell one user's reactions to one event apart.
fn annotation_hash(event_type: &str, key: &str) -> [u8; 16] {
    let text = format!("{}:{event_type}{key}", event_type.len());
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    let mut hash = [0; 16];
    for (to, from) in hash.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    hash
}

/// True when `edit` is a valid replacement of `original` ("Validity of replacement events").
fn is_valid_edit(original: &Event, edit: &Event) -> bool {
    let relation = Relation::of(edit);
    let replaces =
        relation.is_some_and(|it| it.rel_type == relation::REPLACE && it.parent == original.event_id());
    let replaced_is_edit = Relation::of(original).is_some_and(|it| it.rel_type == relation::REPLACE);
    let has_content = edit.event_type() == "m.room.encrypted"
        || edit.content_field::<serde::de::IgnoredAny>("m.new_content").is_some();
    replaces
        && !replaced_is_edit
        && has_content
        && !original.is_state()
        && edit.sender() == original.sender()
        && edit.event_type() == original.event_type()
}
