//! The queue of one device: adding, reading, acknowledging.

use std::sync::atomic::{AtomicU64, Ordering};

use ruma::{DeviceId, OwnedDeviceId};
use serde_json::value::RawValue;

use super::limits;
use crate::storage::{
    ChangeScope, DeviceTag, Direction, Read, ShortUserId, Storage, StorageError, StreamPosition, Transaction,
    tables,
};

/// What a device is given.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The messages, oldest first.
    pub events: Vec<Box<RawValue>>,
    /// Up to where the device has got everything: what it acknowledges when it comes back.
    pub up_to: StreamPosition,
    /// Whether there are more messages after that.
    pub more: bool,
}

/// Adds messages, and drops the oldest ones of a queue that nobody empties.
#[derive(Debug, Default)]
pub(super) struct Trimmer {
    added: AtomicU64,
}

impl Trimmer {
    /// Adds a message to the end of a device's queue, and wakes the device; the message's position.
    pub(super) fn push(
        &self,
        tx: &mut Transaction<'_>,
        (user, device_id): (ShortUserId, OwnedDeviceId),
        message: &Vec<u8>,
    ) -> Result<StreamPosition, StorageError> {
        let position = tx.next_position();
        tx.announce(ChangeScope::Device(user, DeviceTag::of(&device_id)), position);
        let added = self.added.fetch_add(1, Ordering::Relaxed);
        if added.is_multiple_of(limits::TO_DEVICE_TRIM_EVERY) {
            trim(tx, user, &device_id)?;
        }
        tx.put(&tables::TO_DEVICE, &(user, device_id, position), message);
        Ok(position)
    }
}

/// Drops the oldest messages of a queue that is longer than its bound, in messages or bytes.
fn trim(tx: &mut Transaction<'_>, user: ShortUserId, device_id: &DeviceId) -> Result<(), StorageError> {
    let range = tables::TO_DEVICE.prefix(&(user, device_id.to_owned()));
    let (mut messages, mut bytes) = (0_usize, 0_usize);
    let mut old = Vec::new();
    for row in tx.scan(&tables::TO_DEVICE, &range, Direction::Backward) {
        let (key, message) = row?;
        messages += 1;
        bytes += message.len();
        if messages > limits::TO_DEVICE_QUEUE_MAX || bytes > limits::TO_DEVICE_QUEUE_BYTES_MAX {
            old.push(key);
        }
        if old.len() >= limits::TO_DEVICE_ROWS_AT_ONCE {
            break;
        }
    }
    if let Some(newest) = old.first() {
        tracing::warn!(%device_id, up_to = newest.2.0, "the oldest messages for a device are dropped");
    }
    for key in old {
        tx.delete(&tables::TO_DEVICE, &key);
    }
    Ok(())
}

/// Deletes all messages of a device that is deleted.
pub(in crate::users) fn drop_queue(
    tx: &mut Transaction<'_>,
    user: ShortUserId,
    device_id: &DeviceId,
) -> Result<(), StorageError> {
    let range = tables::TO_DEVICE.prefix(&(user, device_id.to_owned()));
    let rows = tx.scan(&tables::TO_DEVICE, &range, Direction::Forward);
    let keys = rows.map(|row| row.map(|(key, _)| key)).collect::<Result<Vec<_>, _>>()?;
    for key in keys {
        tx.delete(&tables::TO_DEVICE, &key);
    }
    Ok(())
}

fn after(position: StreamPosition) -> StreamPosition {
    StreamPosition(position.0.saturating_add(1))
}

/// Reads the messages in a span of positions, within the bounds of one answer.
pub(super) fn read(
    reader: &impl Read,
    user: ShortUserId,
    device_id: &DeviceId,
    (from, until): (StreamPosition, StreamPosition),
    limit: usize,
) -> Result<Delivery, StorageError> {
    let key = |position| (user, device_id.to_owned(), after(position));
    let range = tables::TO_DEVICE.between(&key(from), &key(until.max(from)));
    let limit = limit.clamp(1, limits::TO_DEVICE_DELIVERED_MAX);
    let mut delivery = Delivery { events: Vec::new(), up_to: until, more: false };
    let (mut bytes, mut last) = (0, from);
    for row in reader.scan(&tables::TO_DEVICE, &range, Direction::Forward) {
        let ((_, _, position), message) = row?;
        bytes += message.len();
        let is_full = delivery.events.len() >= limit || bytes > limits::TO_DEVICE_DELIVERED_BYTES_MAX;
        if is_full && !delivery.events.is_empty() {
            delivery.up_to = last;
            delivery.more = true;
            break;
        }
        last = position;
        match serde_json::from_slice(&message) {
            Ok(event) => delivery.events.push(event),
            Err(e) => tracing::error!(position = position.0, "a corrupt to-device message is skipped: {e}"),
        }
    }
    Ok(delivery)
}

/// Deletes the messages up to a position.
pub(super) fn acknowledge(
    storage: &Storage,
    user: ShortUserId,
    device_id: &DeviceId,
    up_to: StreamPosition,
) -> Result<(), StorageError> {
    let key = |position| (user, device_id.to_owned(), position);
    let range = tables::TO_DEVICE.between(&key(StreamPosition(0)), &key(after(up_to)));
    loop {
        let rows = storage.scan(&tables::TO_DEVICE, &range, Direction::Forward);
        let rows = rows.take(limits::TO_DEVICE_ROWS_AT_ONCE).map(|row| row.map(|(key, _)| key));
        let keys = rows.collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Ok(());
        }
        storage.write(|tx| {
            for key in &keys {
                tx.delete(&tables::TO_DEVICE, key);
            }
            Ok::<_, StorageError>(())
        })?;
        if keys.len() < limits::TO_DEVICE_ROWS_AT_ONCE {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_bounded_by_messages_and_by_bytes() {
        let phone: OwnedDeviceId = "PHONE".into();
        for (bytes, kept) in [(10, limits::TO_DEVICE_QUEUE_MAX), (1 << 20, 64)] {
            let storage = Storage::in_memory().unwrap();
            let user = ShortUserId(1);
            let fill = |tx: &mut Transaction<'_>| {
                for position in 1..=kept + 7 {
                    let key = (user, phone.clone(), StreamPosition(position as u64));
                    tx.put(&tables::TO_DEVICE, &key, &vec![b' '; bytes]);
                }
                Ok::<_, StorageError>(())
            };
            storage.write(fill).unwrap();
            storage.write(|tx| trim(tx, user, &phone)).unwrap();
            let rows = storage.scan(
                &tables::TO_DEVICE,
                &tables::TO_DEVICE.prefix(&(user, phone.clone())),
                Direction::Forward,
            );
            let left: Vec<_> = rows.map(|row| row.unwrap().0.2.0).collect();
            assert_eq!((left.len(), left.first()), (kept, Some(&8)), "the oldest go");
        }
    }
}
