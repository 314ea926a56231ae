//! The rows of relations: written and unwritten with the event that relates.
//!
//! An event stands below each event that it relates to, directly or over at most
//! [`limits::RELATION_DEPTH_MAX`] steps, so that a page of an event's relations is one scan, with recursion or
//! without. Beside, an event that is related to has one row that sums up what is told with it.
//!
//! Cost: an event without a relation costs one look for those that came before it (backfilled history may
//! hold an answer before its question). One with a relation costs a read and a row a step.

use crate::{
    matrix::event::Event,
    rooms::limits,
    storage::{
        Direction, Read, ShortEventId, ShortRoomId, ShortUserId, StorageError, TimelineKey, Transaction,
        records::{EventMeta, RelationRow, RelationSummary},
        tables::{
            ANNOTATIONS, EVENT_JSON, EVENT_META, RELATION_SUMMARIES, RELATIONS, THREAD_PARTICIPANTS, THREADS,
        },
    },
};

use super::{
    annotation_hash,
    relation::{ANNOTATION, REFERENCE, REPLACE, Relation, THREAD},
};

/// One event on the way up from a child.
struct Ancestor {
    event: ShortEventId,
    row: RelationRow,
}

/// A child as its rows know it.
struct Child<'a> {
    short: ShortEventId,
    key: TimelineKey,
    room: ShortRoomId,
    sender: ShortUserId,
    sent_at: u64,
    relation: &'a Relation,
    event_type: &'a str,
}

/// Adds the rows of an event that has just been given the place `key`.
pub(in crate::rooms) fn add(
    rows: &mut Transaction<'_>,
    room: ShortRoomId,
    short: ShortEventId,
    key: TimelineKey,
    event: &Event,
) -> Result<(), StorageError> {
    let Some(relation) = Relation::of(event) else { return Ok(()) };
    let parent = rows.intern_event(&relation.parent)?;
    if parent == short || !may_be_of(rows, parent, room)? {
        return Ok(());
    }
    let event_type = event.event_type();
    let ancestors = ancestors(rows, room, parent, &relation, event_type)?;
    for ancestor in &ancestors {
        rows.put(&RELATIONS, &(ancestor.event, key, short), &ancestor.row);
    }
    // In backfilled history, what relates to this event may be here before it.
    for (below, below_key, row) in children(rows, short)? {
        for ancestor in &ancestors {
            if let Some(row) = joined(&ancestor.row, &row) {
                rows.put(&RELATIONS, &(ancestor.event, below_key, below), &row);
            }
        }
    }
    let sender = rows.intern_user(event.sender())?;
    let sent_at = event.origin_server_ts();
    let child = Child { short, key, room, sender, sent_at, relation: &relation, event_type };
    sum_up(rows, parent, &child)
}

/// Removes the rows of an event that is being redacted: it relates to nothing any more.
pub(in crate::rooms) fn remove(
    rows: &mut Transaction<'_>,
    meta: &EventMeta,
    short: ShortEventId,
    key: TimelineKey,
) -> Result<(), StorageError> {
    let Some(json) = rows.get(&EVENT_JSON, &short)? else { return Ok(()) };
    let Some((relation, event_type)) = Relation::of_stored(&json) else { return Ok(()) };
    let Some(parent) = rows.short_event_id(&relation.parent)? else { return Ok(()) };
    if !rows.contains(&RELATIONS, &(parent, key, short))? {
        return Ok(());
    }
    let below = children(rows, short)?;
    for ancestor in ancestors(rows, meta.room, parent, &relation, &event_type)? {
        rows.delete(&RELATIONS, &(ancestor.event, key, short));
        for (below, below_key, _) in &below {
            rows.delete(&RELATIONS, &(ancestor.event, *below_key, *below));
        }
    }
    let child = Child {
        short,
        key,
        room: meta.room,
        sender: meta.sender,
        sent_at: 0,
        relation: &relation,
        event_type: &event_type,
    };
    take_back(rows, parent, &child)
}

/// False for an event that is known to be of another room.
fn may_be_of(rows: &Transaction<'_>, event: ShortEventId, room: ShortRoomId) -> Result<bool, StorageError> {
    Ok(rows.get(&EVENT_META, &event)?.is_none_or(|meta| meta.room == room))
}

/// The events above a child of `parent`, nearest first, with the child's row below each.
fn ancestors(
    rows: &Transaction<'_>,
    room: ShortRoomId,
    parent: ShortEventId,
    relation: &Relation,
    event_type: &str,
) -> Result<Vec<Ancestor>, StorageError> {
    let mut row = RelationRow {
        depth: 1,
        same_rel_type: true,
        same_event_type: true,
        rel_type: relation.rel_type.clone(),
        event_type: event_type.to_owned(),
    };
    let mut ancestors = vec![Ancestor { event: parent, row: row.clone() }];
    let mut at = parent;
    while row.depth < limits::RELATION_DEPTH_MAX {
        let Some(json) = rows.get(&EVENT_JSON, &at)? else { break };
        let Some((above, at_type)) = Relation::of_stored(&json) else { break };
        let Some(next) = rows.short_event_id(&above.parent)? else { break };
        if !may_be_of(rows, next, room)? || ancestors.iter().any(|ancestor| ancestor.event == next) {
            break;
        }
        row.depth += 1;
        row.same_rel_type &= above.rel_type == relation.rel_type;
        row.same_event_type &= at_type == event_type;
        ancestors.push(Ancestor { event: next, row: row.clone() });
        at = next;
    }
    Ok(ancestors)
}

/// The events below one, as far as they are followed.
fn children(
    rows: &Transaction<'_>,
    event: ShortEventId,
) -> Result<Vec<(ShortEventId, TimelineKey, RelationRow)>, StorageError> {
    rows.scan(&RELATIONS, &RELATIONS.prefix(&(event,)), Direction::Forward)
        .take(limits::RELATIONS_MOVED_MAX)
        .map(|row| row.map(|((_, key, child), row)| (child, key, row)))
        .collect()
}

/// The row, below `above`'s event, of what stands below its child; `None` when that is too far.
fn joined(above: &RelationRow, below: &RelationRow) -> Option<RelationRow> {
    let depth = above.depth.checked_add(below.depth)?;
    (depth <= limits::RELATION_DEPTH_MAX).then(|| RelationRow {
        depth,
        same_rel_type: above.same_rel_type && below.same_rel_type && above.rel_type == below.rel_type,
        same_event_type: above.same_event_type
            && below.same_event_type
            && above.event_type == below.event_type,
        rel_type: below.rel_type.clone(),
        event_type: below.event_type.clone(),
    })
}

/// A thread starts from an event without a relation: others are no roots.
fn may_be_root(rows: &Transaction<'_>, event: ShortEventId) -> Result<bool, StorageError> {
    let json = rows.get(&EVENT_JSON, &event)?;
    Ok(json.is_none_or(|json| Relation::of_stored(&json).is_none()))
}

fn sum_up(rows: &mut Transaction<'_>, parent: ShortEventId, child: &Child<'_>) -> Result<(), StorageError> {
    if child.relation.rel_type == ANNOTATION {
        if let Some(key) = &child.relation.key {
            let hash = annotation_hash(child.event_type, key);
            rows.put(&ANNOTATIONS, &(parent, child.sender, hash), &child.short);
        }
        return Ok(());
    }
    let mut summary = rows.get(&RELATION_SUMMARIES, &parent)?.unwrap_or_default();
    match child.relation.rel_type.as_str() {
        REFERENCE => summary.references += 1,
        REPLACE => {
            summary.edits.push((child.sent_at, child.short));
            summary.edits.sort_unstable();
            let too_many = summary.edits.len().saturating_sub(limits::EDITS_SUMMED_MAX);
            summary.edits.drain(..too_many);
        }
        THREAD if may_be_root(rows, parent)? => {
            let participant = (parent, child.sender);
            let sent = rows.get(&THREAD_PARTICIPANTS, &participant)?.unwrap_or_default();
            rows.put(&THREAD_PARTICIPANTS, &participant, &(sent + 1));
            let latest =
                if summary.thread_events == 0 { child.key } else { summary.thread_latest.max(child.key) };
            move_thread(rows, child.room, parent, &summary, Some(latest));
            summary.thread_events += 1;
            summary.thread_latest = latest;
        }
        _ => return Ok(()),
    }
    rows.put(&RELATION_SUMMARIES, &parent, &summary);
    Ok(())
}

fn take_back(
    rows: &mut Transaction<'_>,
    parent: ShortEventId,
    child: &Child<'_>,
) -> Result<(), StorageError> {
    if child.relation.rel_type == ANNOTATION {
        if let Some(key) = &child.relation.key {
            let row = (parent, child.sender, annotation_hash(child.event_type, key));
            if rows.get(&ANNOTATIONS, &row)? == Some(child.short) {
                rows.delete(&ANNOTATIONS, &row);
            }
        }
        return Ok(());
    }
    let Some(mut summary) = rows.get(&RELATION_SUMMARIES, &parent)? else { return Ok(()) };
    match child.relation.rel_type.as_str() {
        REFERENCE => summary.references = summary.references.saturating_sub(1),
        REPLACE => summary.edits.retain(|(_, edit)| *edit != child.short),
        THREAD if summary.thread_events > 0 => {
            let participant = (parent, child.sender);
            match rows.get(&THREAD_PARTICIPANTS, &participant)?.unwrap_or_default() {
                0 => return Ok(()),
                1 => rows.delete(&THREAD_PARTICIPANTS, &participant),
                sent => rows.put(&THREAD_PARTICIPANTS, &participant, &(sent - 1)),
            }
            let latest = newest_in_thread(rows, parent)?;
            move_thread(rows, child.room, parent, &summary, latest);
            summary.thread_events = if latest.is_none() { 0 } else { summary.thread_events - 1 };
            summary.thread_latest = latest.unwrap_or_default();
        }
        _ => return Ok(()),
    }
    if summary.is_empty() {
        rows.delete(&RELATION_SUMMARIES, &parent);
    } else {
        rows.put(&RELATION_SUMMARIES, &parent, &summary);
    }
    Ok(())
}

/// The newest event that is left in a thread; as far as is looked.
fn newest_in_thread(rows: &Transaction<'_>, root: ShortEventId) -> Result<Option<TimelineKey>, StorageError> {
    let below = rows.scan(&RELATIONS, &RELATIONS.prefix(&(root,)), Direction::Backward);
    for row in below.take(limits::RELATIONS_MOVED_MAX) {
        let ((_, key, _), row) = row?;
        if row.depth == 1 && row.rel_type == THREAD {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

/// Puts a thread at its place among the room's threads.
fn move_thread(
    rows: &mut Transaction<'_>,
    room: ShortRoomId,
    thread: ShortEventId,
    before: &RelationSummary,
    latest: Option<TimelineKey>,
) {
    if before.thread_events > 0 {
        rows.delete(&THREADS, &(room, before.thread_latest));
    }
    if let Some(latest) = latest {
        rows.put(&THREADS, &(room, latest), &thread);
    }
}
