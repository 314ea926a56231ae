//! When and from where each device was last seen, gathered in memory and written rarely.
//!
//! A request never writes for this. The server calls [`LastSeen::flush`] every few minutes and before it
//! stops; a crash loses those minutes and nothing else.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ruma::{DeviceId, MilliSecondsSinceUnixEpoch, OwnedDeviceId, UInt};

use super::{limits, sessions::Session};
use crate::storage::{Json, Read, ShortUserId, Storage, StorageError, records::LastSeenRecord, tables};

type Pending = HashMap<(ShortUserId, OwnedDeviceId), LastSeenRecord>;

/// What was last noted of a session, so that the next request need not note it again.
#[derive(Debug, Default)]
pub(super) struct SeenMark(Mutex<(u64, Option<IpAddr>)>);

impl SeenMark {
    /// True when it is time to note the session again.
    fn renew(&self, now_ms: u64, address: Option<IpAddr>) -> bool {
        let mut mark = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = now_ms < mark.0.saturating_add(limits::LAST_SEEN_GRANULARITY_MS);
        if is_recent && mark.1 == address {
            return false;
        }
        *mark = (now_ms, address);
        true
    }
}

/// What is noted and not yet written; cheap to clone.
#[derive(Clone)]
pub struct LastSeen {
    storage: Storage,
    pending: Arc<Mutex<Pending>>,
}

impl LastSeen {
    pub(super) fn new(storage: Storage) -> Self {
        Self { storage, pending: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, session: &Session, now_ms: u64, address: Option<IpAddr>) {
        if !session.seen.renew(now_ms, address) {
            return;
        }
        let key = (session.user, session.device_id.clone());
        let at = MilliSecondsSinceUnixEpoch(UInt::new_saturating(now_ms));
        let mut pending = self.lock();
        if pending.len() < limits::LAST_SEEN_PENDING_MAX || pending.contains_key(&key) {
            pending.insert(key, LastSeenRecord { at, address });
        }
    }

    /// When and from where a device was last seen, if it ever was.
    pub fn of(
        &self,
        user: ShortUserId,
        device_id: &DeviceId,
    ) -> Result<Option<LastSeenRecord>, StorageError> {
        let key = (user, device_id.to_owned());
        if let Some(pending) = self.lock().get(&key) {
            return Ok(Some(pending.clone()));
        }
        Ok(self.storage.get(&tables::DEVICES_LAST_SEEN, &key)?.map(|Json(record)| record))
    }

    /// Writes what is noted.
    pub fn flush(&self) -> Result<(), StorageError> {
        let pending = std::mem::take(&mut *self.lock());
        self.storage.write(|tx| {
            for (key, record) in pending {
                // Devices that were deleted meanwhile stay deleted.
                if tx.contains(&tables::DEVICES, &key)? {
                    tx.put(&tables::DEVICES_LAST_SEEN, &key, &Json(record));
                }
            }
            Ok(())
        })
    }
}
