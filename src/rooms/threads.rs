//! Which thread an event belongs to ([threading], "Threaded read receipts").
//!
//! [threading]: https://spec.matrix.org/v1.19/client-server-api/#threading

use ruma::{EventId, OwnedEventId};
use serde::Deserialize;

use super::{EventStore, RoomError, StoredEvent, limits};

#[derive(Deserialize)]
struct Relation {
    rel_type: Option<String>,
    event_id: Option<OwnedEventId>,
}

/// The root of the event's thread; `None` for events of the main timeline, among them thread roots. Follows
/// relations such as reactions and edits for [`limits::THREAD_HOPS_MAX`] hops, as the spec advises.
pub fn thread_root(events: &EventStore, event: &StoredEvent) -> Result<Option<OwnedEventId>, RoomError> {
    let mut at = event.clone();
    for _ in 0..=limits::THREAD_HOPS_MAX {
        let Some((is_thread, target)) = relation_of(&at) else { return Ok(None) };
        if is_thread {
            return Ok(Some(target));
        }
        match events.by_id(&target)? {
            Some(parent) if parent.meta.room == event.meta.room => at = parent,
            _ => return Ok(None),
        }
    }
    Ok(None)
}

/// True when a receipt for `event` may be given in the thread `root`: the event is in it, is its root, or relates to
/// its root in another way. Those last are shown in the main timeline, and clients that list them beside the thread
/// read up to them there.
pub fn may_be_read_in_thread(
    events: &EventStore,
    event: &StoredEvent,
    root: &EventId,
) -> Result<bool, RoomError> {
    let mut at = event.clone();
    for _ in 0..=limits::THREAD_HOPS_MAX {
        if at.event.event_id() == root {
            return Ok(true);
        }
        let Some((_, target)) = relation_of(&at) else { return Ok(false) };
        if target == root {
            return Ok(true);
        }
        match events.by_id(&target)? {
            Some(parent) if parent.meta.room == event.meta.room => at = parent,
            _ => return Ok(false),
        }
    }
    Ok(false)
}

/// True when `event` has been sent to the thread `root`.
pub fn is_sent_to_thread(
    events: &EventStore,
    event: &StoredEvent,
    root: &EventId,
) -> Result<bool, RoomError> {
    Ok(thread_root(events, event)?.is_some_and(|found| found == root))
}

/// Whether the relation makes a thread, and its target.
fn relation_of(event: &StoredEvent) -> Option<(bool, OwnedEventId)> {
    let relation = event.event.content_field::<Relation>("m.relates_to")?;
    Some((relation.rel_type? == "m.thread", relation.event_id?))
}
