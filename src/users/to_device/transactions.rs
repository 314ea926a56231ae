//! Which requests have been seen: a repeated one sends nothing, also after a restart.

use std::sync::atomic::{AtomicU64, Ordering};

use ruma::OwnedDeviceId;

use super::limits;
use crate::{
    storage::{Direction, Read, ShortUserId, StorageError, Transaction, tables},
    users::secrets::{self, SecretHash},
};

/// User, device and hash of a request.
pub(super) type TransactionKey = (ShortUserId, OwnedDeviceId, SecretHash);

/// Remembers requests for [`limits::TO_DEVICE_TRANSACTION_AGE_MS_MAX`], and forgets them in small steps.
#[derive(Debug, Default)]
pub(super) struct SentTransactions {
    added: AtomicU64,
    /// Everything older has been removed.
    swept_until_ms: AtomicU64,
}

/// What tells one request of a device from another: the type is part of the path.
pub(super) fn hash(event_type: &str, transaction_id: &str) -> SecretHash {
    secrets::hash(&format!("{} {event_type}{transaction_id}", event_type.len()))
}

impl SentTransactions {
    /// True the first time that the request is seen.
    pub(super) fn begin(
        &self,
        tx: &mut Transaction<'_>,
        key: TransactionKey,
        now_ms: u64,
    ) -> Result<bool, StorageError> {
        if tx.contains(&tables::TO_DEVICE_TRANSACTIONS, &key)? {
            return Ok(false);
        }
        tx.put(&tables::TO_DEVICE_TRANSACTIONS, &key, &now_ms);
        let (user, device_id, hash) = key;
        tx.put(&tables::TO_DEVICE_TRANSACTION_AGES, &(now_ms, user, device_id, hash), &());
        let added = self.added.fetch_add(1, Ordering::Relaxed);
        if added.is_multiple_of(limits::TO_DEVICE_TRANSACTION_SWEEP_EVERY) {
            self.sweep(tx, now_ms)?;
        }
        Ok(true)
    }

    fn sweep(&self, tx: &mut Transaction<'_>, now_ms: u64) -> Result<(), StorageError> {
        let table = &tables::TO_DEVICE_TRANSACTION_AGES;
        let at = |ms| (ms, ShortUserId(0), OwnedDeviceId::from(""), [0; 32]);
        let oldest_kept = now_ms.saturating_sub(limits::TO_DEVICE_TRANSACTION_AGE_MS_MAX);
        let range = table.between(&at(self.swept_until_ms.load(Ordering::Relaxed)), &at(oldest_kept));
        let rows = tx.scan(table, &range, Direction::Forward).take(limits::TO_DEVICE_ROWS_AT_ONCE);
        let old = rows.map(|row| row.map(|(key, ())| key)).collect::<Result<Vec<_>, _>>()?;
        for key in &old {
            let (_, user, device_id, hash) = key;
            tx.delete(table, key);
            tx.delete(&tables::TO_DEVICE_TRANSACTIONS, &(*user, device_id.clone(), *hash));
        }
        if let Some((ms, ..)) = old.last() {
            self.swept_until_ms.store(*ms, Ordering::Relaxed);
        }
        Ok(())
    }
}
