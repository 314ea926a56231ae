//! The rows of events that are sent later, each change as one transaction.

use ruma::OwnedDeviceId;
use serde_json::value::RawValue;

use super::{DelayId, DelayLimits, DelayedError, NewDelayedEvent};
use crate::{
    matrix::hashes::{Sha256, sha256},
    rooms::{appender::ClientTransaction, limits},
    storage::{
        Direction, Json, Read, ShortUserId, StorageError, Transaction,
        records::{DelayedEventRecord, DelayedOutcome},
        tables::{DELAYED_DUE, DELAYED_EVENTS, DELAYED_OF_USER, DELAYED_TRANSACTIONS},
    },
};

/// In `DELAYED_OF_USER`: what is to be sent, by the time at which it is due.
pub(super) const SCHEDULED: u8 = 0;

/// In `DELAYED_OF_USER`: what was decided, by the time at which it was.
pub(super) const DECIDED: u8 = 1;

/// The key of a request in `DELAYED_TRANSACTIONS`.
pub(super) fn transaction_key(transaction: &ClientTransaction) -> (ShortUserId, OwnedDeviceId, Sha256) {
    let length = transaction.path.len();
    let text = format!("{length} {}{}", transaction.path, transaction.transaction_id);
    (transaction.user, transaction.device.clone(), sha256(text.as_bytes()))
}

fn due_ms(record: &DelayedEventRecord) -> u64 {
    record.scheduled_at_ms.saturating_add(record.delay_ms)
}

/// Adds an event, unless the request has done so before.
pub(super) fn schedule(
    rows: &mut Transaction<'_>,
    limits: DelayLimits,
    id: DelayId,
    new: NewDelayedEvent,
    content: Box<RawValue>,
    now_ms: u64,
) -> Result<DelayId, DelayedError> {
    let request = new.transaction.as_ref().map(transaction_key);
    if let Some(key) = &request
        && let Some(before) = rows.get(&DELAYED_TRANSACTIONS, key)?
    {
        return Ok(DelayId(before));
    }
    let range = DELAYED_OF_USER.prefix(&(new.user, SCHEDULED));
    let scheduled = rows.scan(&DELAYED_OF_USER, &range, Direction::Forward);
    let scheduled: Vec<_> = scheduled.take(limits.scheduled_max).collect::<Result<_, _>>()?;
    if let Some(((_, _, first_ms, _), ())) = scheduled.first()
        && scheduled.len() >= limits.scheduled_max
    {
        return Err(DelayedError::TooMany { next_in_ms: first_ms.saturating_sub(now_ms) });
    }
    let record = DelayedEventRecord {
        sender: new.sender,
        room_id: new.room_id,
        event_type: new.event_type,
        state_key: new.state_key,
        content,
        delay_ms: new.delay_ms,
        scheduled_at_ms: now_ms,
        dated_ms: new.dated_ms,
        sticky_ms: new.sticky_ms,
        transaction: request.as_ref().map(|(_, device, hash)| (device.to_string(), *hash)),
        outcome: None,
    };
    let due_ms = due_ms(&record);
    if let Some(key) = &request {
        rows.put(&DELAYED_TRANSACTIONS, key, &id.0);
    }
    rows.put(&DELAYED_DUE, &(due_ms, id.0), &());
    rows.put(&DELAYED_OF_USER, &(new.user, SCHEDULED, due_ms, id.0), &());
    rows.put(&DELAYED_EVENTS, &id.0, &Json(record));
    Ok(id)
}

/// Lets the delay begin anew.
pub(super) fn restart(rows: &mut Transaction<'_>, id: DelayId, now_ms: u64) -> Result<(), DelayedError> {
    let Some(Json(mut record)) = rows.get(&DELAYED_EVENTS, &id.0)? else {
        return Err(DelayedError::NotFound);
    };
    match &record.outcome {
        Some(outcome) if outcome.event_id.is_some() => return Err(DelayedError::AlreadySent),
        Some(_) => return Err(DelayedError::AlreadyCancelled),
        None => {}
    }
    let user = rows.intern_user(&record.sender)?;
    let before_ms = due_ms(&record);
    rows.delete(&DELAYED_DUE, &(before_ms, id.0));
    rows.delete(&DELAYED_OF_USER, &(user, SCHEDULED, before_ms, id.0));
    record.scheduled_at_ms = now_ms;
    let due_ms = due_ms(&record);
    rows.put(&DELAYED_DUE, &(due_ms, id.0), &());
    rows.put(&DELAYED_OF_USER, &(user, SCHEDULED, due_ms, id.0), &());
    rows.put(&DELAYED_EVENTS, &id.0, &Json(record));
    Ok(())
}

/// Notes what became of an event, and forgets what became of its user's oldest ones.
pub(super) fn finish(
    rows: &mut Transaction<'_>,
    id: DelayId,
    mut record: DelayedEventRecord,
    outcome: DelayedOutcome,
) -> Result<(), StorageError> {
    let user = rows.intern_user(&record.sender)?;
    let due_ms = due_ms(&record);
    rows.delete(&DELAYED_DUE, &(due_ms, id.0));
    rows.delete(&DELAYED_OF_USER, &(user, SCHEDULED, due_ms, id.0));
    let now_ms = outcome.at_ms;
    rows.put(&DELAYED_OF_USER, &(user, DECIDED, now_ms, id.0), &());
    record.outcome = Some(outcome);
    rows.put(&DELAYED_EVENTS, &id.0, &Json(record));
    forget_old(rows, user, now_ms)
}

fn forget_old(rows: &mut Transaction<'_>, user: ShortUserId, now_ms: u64) -> Result<(), StorageError> {
    let range = DELAYED_OF_USER.prefix(&(user, DECIDED));
    let decided: Vec<_> =
        rows.scan(&DELAYED_OF_USER, &range, Direction::Forward).collect::<Result<_, _>>()?;
    let too_many = decided.len().saturating_sub(limits::DELAYED_DECIDED_MAX);
    let oldest_ms = now_ms.saturating_sub(limits::DELAYED_DECIDED_AGE_MS);
    for (place, (key, ())) in decided.into_iter().enumerate() {
        let (_, _, decided_ms, id) = key;
        if place >= too_many && decided_ms >= oldest_ms {
            break;
        }
        if let Some(Json(record)) = rows.get(&DELAYED_EVENTS, &id)?
            && let Some((device, hash)) = record.transaction
        {
            rows.delete(&DELAYED_TRANSACTIONS, &(user, device.into(), hash));
        }
        rows.delete(&DELAYED_EVENTS, &id);
        rows.delete(&DELAYED_OF_USER, &key);
    }
    Ok(())
}
