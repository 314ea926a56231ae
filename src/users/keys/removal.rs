//! What goes with a device, and with an account.

use ruma::DeviceId;

use super::{
    KeyKind, given,
    publish::{self, DeviceChange},
};
use crate::storage::{Direction, Read, ShortUserId, StorageError, Transaction, tables};

/// Deletes the keys of a device that is deleted.
pub(in crate::users) fn forget_device(
    tx: &mut Transaction<'_>,
    user: ShortUserId,
    device_id: &DeviceId,
) -> Result<(), StorageError> {
    let device = (user, device_id.to_owned());
    let table = &tables::ONE_TIME_KEYS;
    let rows = tx.scan(table, &table.prefix(&device), Direction::Forward);
    let keys = rows.map(|row| row.map(|(key, _)| key)).collect::<Result<Vec<_>, _>>()?;
    for key in keys {
        tx.delete(table, &key);
    }
    tx.delete(&tables::KEY_STOCKS, &device);
    given::forget(tx, &device)?;
    if tx.contains(&tables::DEVICE_KEYS, &device)? {
        publish::device_changed(tx, user, device_id, DeviceChange::Deleted)?;
        tx.delete(&tables::DEVICE_KEYS, &device);
        delete_signatures_on(tx, user, device_id.as_str())?;
    }
    Ok(())
}

/// Deletes the cross-signing keys of an account that is closed.
pub(in crate::users) fn forget_user(tx: &mut Transaction<'_>, user: ShortUserId) -> Result<(), StorageError> {
    let mut had_any = false;
    for kind in KeyKind::ALL {
        let key = (user, kind as u8);
        had_any |= tx.contains(&tables::CROSS_SIGNING_KEYS, &key)?;
        tx.delete(&tables::CROSS_SIGNING_KEYS, &key);
    }
    if had_any {
        publish::signing_keys_changed(tx, user)?;
    }
    Ok(())
}

/// Deletes all signatures on one key of a user.
pub(super) fn delete_signatures_on(
    tx: &mut Transaction<'_>,
    user: ShortUserId,
    key_id: &str,
) -> Result<(), StorageError> {
    let table = &tables::KEY_SIGNATURES;
    let rows = tx.scan(table, &table.prefix(&(user, key_id.to_owned())), Direction::Forward);
    let keys = rows.map(|row| row.map(|(key, _)| key)).collect::<Result<Vec<_>, _>>()?;
    for key in keys {
        tx.delete(table, &key);
    }
    Ok(())
}
