//! What sync tells a device of end-to-end encryption ("Extensions to /sync"): its messages, whose devices changed,
//! and what is left of its keys.

use super::{
    Session, SyncError,
    response::{DeviceLists, SyncResponse},
};
use crate::sync::limits;

/// Always counted, though it be zero: clients upload keys when they are told that there are none.
const COUNTED_ALGORITHM: &str = "signed_curve25519";

impl Session<'_> {
    /// Adds it all. Messages that the request's token says were delivered are deleted; if there are more than an
    /// answer holds, the answer's token says so.
    pub(super) fn add_encryption(&mut self, response: &mut SyncResponse) -> Result<(), SyncError> {
        if let Some(since) = self.since.filter(|since| since.position < self.until()) {
            let changes =
                self.inner.device_lists.changes(self.viewer().user, since.position, self.until())?;
            response.device_lists = DeviceLists {
                changed: changes.changed.into_iter().collect(),
                left: changes.left.into_iter().collect(),
            };
        }
        let Some(device_id) = self.viewer().device_id.clone() else { return Ok(()) };
        let user = self.viewer().user;
        let from = self.since.map(|since| since.to_device).unwrap_or_default();
        self.sources.to_device.acknowledge(user, &device_id, from)?;
        let limit = limits::TO_DEVICE_EVENTS_MAX;
        let delivery = self.sources.to_device.since(user, &device_id, from, self.until(), limit)?;
        self.token.to_device = delivery.up_to;
        response.to_device = delivery.events.into();
        let (mut counts, unused) = self.sources.keys.stock(user, &device_id)?;
        counts.entry(COUNTED_ALGORITHM.to_owned()).or_default();
        response.device_one_time_keys_count = counts;
        response.device_unused_fallback_key_types = unused;
        Ok(())
    }
}
