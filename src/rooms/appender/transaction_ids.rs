//! Transaction ids: a repeated request answers with the first one's event, also after a restart.
//!
//! Rows are kept for [`TRANSACTION_ID_AGE_MAX`](super::super::limits::TRANSACTION_ID_AGE_MAX) and removed in
//! small steps while others are added.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::ClientTransaction;
use crate::{
    matrix::hashes::{Sha256, sha256},
    rooms::limits,
    storage::{
        Direction, Read, ShortEventId, StorageError, Transaction,
        tables::{EVENT_TRANSACTIONS, TRANSACTION_ID_AGES, TRANSACTION_IDS},
    },
};

/// Reads, adds and expires transaction ids.
#[derive(Debug, Clone, Default)]
pub(super) struct TransactionIds {
    added: Arc<AtomicU64>,
    /// Everything older has been removed: where the next removal starts, so that it never walks over what
    /// earlier ones removed.
    swept_until_ms: Arc<AtomicU64>,
}

impl TransactionIds {
    /// The event that this very request has sent before.
    pub(super) fn sent_before(
        reader: &impl Read,
        transaction: &ClientTransaction,
    ) -> Result<Option<ShortEventId>, StorageError> {
        reader.get(&TRANSACTION_IDS, &key(transaction))
    }

    /// Remembers which event the request has sent.
    pub(super) fn add(
        &self,
        rows: &mut Transaction<'_>,
        transaction: &ClientTransaction,
        event: ShortEventId,
        now_ms: u64,
    ) -> Result<(), StorageError> {
        let key = key(transaction);
        let sent_with = (transaction.device.clone(), transaction.transaction_id.clone());
        rows.put(&EVENT_TRANSACTIONS, &event, &sent_with);
        rows.put(&TRANSACTION_ID_AGES, &(now_ms, event), &key);
        rows.put(&TRANSACTION_IDS, &key, &event);
        if self.added.fetch_add(1, Ordering::Relaxed).is_multiple_of(limits::TRANSACTION_ID_SWEEP_EVERY) {
            self.sweep(rows, now_ms)?;
        }
        Ok(())
    }

    fn sweep(&self, rows: &mut Transaction<'_>, now_ms: u64) -> Result<(), StorageError> {
        let age_max = u64::try_from(limits::TRANSACTION_ID_AGE_MAX.as_millis()).unwrap_or(u64::MAX);
        let oldest_kept = now_ms.saturating_sub(age_max);
        let from = self.swept_until_ms.load(Ordering::Relaxed);
        let range = TRANSACTION_ID_AGES.between(&(from, ShortEventId(0)), &(oldest_kept, ShortEventId(0)));
        let old: Vec<_> = rows
            .scan(&TRANSACTION_ID_AGES, &range, Direction::Forward)
            .take(limits::TRANSACTION_ID_SWEEP_ROWS)
            .collect::<Result<_, _>>()?;
        for (age, key) in &old {
            rows.delete(&TRANSACTION_ID_AGES, age);
            rows.delete(&TRANSACTION_IDS, key);
            rows.delete(&EVENT_TRANSACTIONS, &age.1);
        }
        if let Some((age, _)) = old.last() {
            self.swept_until_ms.store(age.0, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// The row's key: user, device, and the hash of path and id, which are as long as a client likes.
fn key(transaction: &ClientTransaction) -> (crate::storage::ShortUserId, ruma::OwnedDeviceId, Sha256) {
    let length = transaction.path.len();
    let text = format!("{length} {}{}", transaction.path, transaction.transaction_id);
    (transaction.user, transaction.device.clone(), sha256(text.as_bytes()))
}
