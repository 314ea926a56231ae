//! The rows by which events are found: written and unwritten with the event, in its transaction.
//!
//! A message is found by what it says now: its newest valid edit's text takes the place of its own, and an edit
//! is found as the message that it replaces. What an event's rows are is a function of what is stored, so what has
//! to go is found by asking that function before the change, and nothing is remembered for it. Whoever reads the
//! rows compares them with the event all the same, since not everybody sees each edit.
//!
//! Cost: a row a term, for events of three types only; an edit reads and parses the message and its edits.

use std::collections::BTreeSet;

use super::text::{StoredText, terms};
use crate::{
    matrix::event::Event,
    rooms::relations::{self, Relation},
    storage::{
        Read, ShortEventId, ShortRoomId, StorageError, TimelineKey, Transaction,
        records::EventMeta,
        tables::{EVENT_JSON, EVENT_META, RELATION_SUMMARIES, SEARCH_POSTINGS},
    },
};

/// An event whose rows are about to change, and the terms that it has.
#[derive(Debug)]
pub(in crate::rooms) struct Reindexing {
    room: ShortRoomId,
    short: ShortEventId,
    key: TimelineKey,
    before: BTreeSet<String>,
}

impl Reindexing {
    /// Before an event that has been given its place is added to the other indices.
    pub(in crate::rooms) fn of_new(
        rows: &Transaction<'_>,
        room: ShortRoomId,
        short: ShortEventId,
        key: TimelineKey,
        event: &Event,
    ) -> Result<Option<Self>, StorageError> {
        if super::SearchKey::of_type(event.event_type()).is_none() {
            return Ok(None);
        }
        match Relation::of(event).filter(|relation| relation.rel_type == relations::REPLACE) {
            Some(edit) => Self::of_edited(rows, room, &edit),
            None => Ok(Some(Self { room, short, key, before: BTreeSet::new() })),
        }
    }

    /// Before an event that is being redacted loses its text and its relations.
    pub(in crate::rooms) fn of_redacted(
        rows: &Transaction<'_>,
        meta: &EventMeta,
        short: ShortEventId,
        key: TimelineKey,
    ) -> Result<Option<Self>, StorageError> {
        let Some(json) = rows.get(&EVENT_JSON, &short)? else { return Ok(None) };
        match Relation::of_stored(&json).filter(|(relation, _)| relation.rel_type == relations::REPLACE) {
            Some((edit, _)) => Self::of_edited(rows, meta.room, &edit),
            None => Ok(Some(Self { room: meta.room, short, key, before: current(rows, short)? })),
        }
    }

    /// The message that an edit replaces, if it is here.
    fn of_edited(
        rows: &Transaction<'_>,
        room: ShortRoomId,
        edit: &Relation,
    ) -> Result<Option<Self>, StorageError> {
        let Some(short) = rows.short_event_id(&edit.parent)? else { return Ok(None) };
        let Some(meta) = rows.get(&EVENT_META, &short)? else { return Ok(None) };
        let Some(key) = meta.timeline.filter(|_| meta.room == room && meta.redacted_by.is_none()) else {
            return Ok(None);
        };
        Ok(Some(Self { room, short, key, before: current(rows, short)? }))
    }

    /// After the change: brings the rows to what the event says now. `gone` is the event that is redacted, which
    /// has its text still.
    pub(in crate::rooms) fn write(
        &self,
        rows: &mut Transaction<'_>,
        gone: Option<ShortEventId>,
    ) -> Result<(), StorageError> {
        let after = if gone == Some(self.short) { BTreeSet::new() } else { current(rows, self.short)? };
        for term in self.before.difference(&after) {
            rows.delete(&SEARCH_POSTINGS, &(self.room, term.clone(), self.key));
        }
        for term in after.difference(&self.before) {
            rows.put(&SEARCH_POSTINGS, &(self.room, term.clone(), self.key), &self.short);
        }
        Ok(())
    }
}

/// The terms that an event is found by as it is stored; for whoever checks the index.
pub fn current(rows: &impl Read, short: ShortEventId) -> Result<BTreeSet<String>, StorageError> {
    Ok(current_text(rows, short)?.as_deref().map(terms).unwrap_or_default())
}

/// What an event says, for somebody who sees all of its edits.
fn current_text(rows: &impl Read, short: ShortEventId) -> Result<Option<String>, StorageError> {
    let Some(json) = rows.get(&EVENT_JSON, &short)? else { return Ok(None) };
    // An edit is found as the message that it replaces.
    if Relation::of_stored(&json).is_some_and(|(relation, _)| relation.rel_type == relations::REPLACE) {
        return Ok(None);
    }
    let Some(stored) = StoredText::parse(&json) else { return Ok(None) };
    let Some(own) = stored.own() else { return Ok(None) };
    let Some(summary) = rows.get(&RELATION_SUMMARIES, &short)? else { return Ok(Some(own)) };
    for (_, edit) in summary.edits.iter().rev() {
        let Some(edit) = rows.get(&EVENT_JSON, edit)?.and_then(|json| StoredText::parse(&json)) else {
            continue;
        };
        if edit.sender == stored.sender
            && edit.event_type == stored.event_type
            && let Some(text) = edit.replacement()
        {
            return Ok(Some(text));
        }
    }
    Ok(Some(own))
}
