//! One-time keys that were given out, remembered for a while.
//!
//! A device whose upload met a crash or a lost connection makes it again, with the same keys. Some of them may have
//! been claimed meanwhile: taken as new they would be given out twice, and what is encrypted with them the second time
//! can never be read. So the latest of each device are kept, as hashes.

use std::collections::HashSet;

use ruma::OwnedDeviceId;
use serde_json::Value;

use crate::{
    storage::{Direction, Read, ShortUserId, StorageError, Transaction, tables::GIVEN_KEYS},
    users::{limits, secrets},
};

/// What a key is remembered by: another key under the same name is another one.
pub(super) type GivenKey = [u8; 32];

/// What a key of an algorithm is remembered by.
pub(super) fn hash(algorithm: &str, key_id: &str, key: &[u8]) -> GivenKey {
    // As a value, so that spaces make no difference.
    let key = serde_json::from_slice::<Value>(key).map_or_else(|_| key.to_vec(), |it| it.to_string().into());
    let name = format!("{} {algorithm}:{key_id} ", algorithm.len() + key_id.len());
    secrets::hash_bytes(&[name.as_bytes(), &key].concat())
}

/// Notes a key that is given out, in its transaction.
pub(super) fn note(
    tx: &mut Transaction<'_>,
    device: &(ShortUserId, OwnedDeviceId),
    key: &GivenKey,
) -> Result<(), StorageError> {
    let newest = tx.scan(&GIVEN_KEYS, &GIVEN_KEYS.prefix(device), Direction::Backward).next().transpose()?;
    let number = newest.map_or(0, |((_, _, number), _)| number) + 1;
    let (user, device_id) = device.clone();
    tx.put(&GIVEN_KEYS, &(user, device_id.clone(), number), key);
    if let Some(oldest) = number.checked_sub(limits::GIVEN_KEYS_REMEMBERED) {
        tx.delete(&GIVEN_KEYS, &(user, device_id, oldest));
    }
    Ok(())
}

/// Those of a device.
pub(super) fn of_device(
    tx: &Transaction<'_>,
    device: &(ShortUserId, OwnedDeviceId),
) -> Result<HashSet<GivenKey>, StorageError> {
    tx.scan(&GIVEN_KEYS, &GIVEN_KEYS.prefix(device), Direction::Forward).map(|row| Ok(row?.1)).collect()
}

/// Forgets those of a device that is deleted.
pub(super) fn forget(
    tx: &mut Transaction<'_>,
    device: &(ShortUserId, OwnedDeviceId),
) -> Result<(), StorageError> {
    let rows = tx.scan(&GIVEN_KEYS, &GIVEN_KEYS.prefix(device), Direction::Forward);
    let keys = rows.map(|row| row.map(|(key, _)| key)).collect::<Result<Vec<_>, _>>()?;
    for key in keys {
        tx.delete(&GIVEN_KEYS, &key);
    }
    Ok(())
}
