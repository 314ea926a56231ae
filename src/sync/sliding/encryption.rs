//! What is told of end-to-end encryption: messages for the device, whose devices changed, what is left of the
//! device's keys.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::{
    look::Look,
    response::{DeviceListsResult, E2eeResult, Extensions, ToDeviceResult},
};
use crate::{
    storage::StreamPosition,
    sync::{SyncError, limits},
};

/// Always counted, though it be zero: clients upload keys when they are told that there are none.
const COUNTED_ALGORITHM: &str = "signed_curve25519";

impl Look<'_> {
    /// Adds both extensions, if they were asked for. Answers with a hash of what was told of the keys, and true
    /// when there is news.
    pub(super) fn encryption(&self, extensions: &mut Extensions) -> Result<(Option<u64>, bool), SyncError> {
        let has_messages = self.to_device(extensions)?;
        let Some(result) = self.e2ee()? else { return Ok((self.told.keys, has_messages)) };
        let mut hasher = DefaultHasher::new();
        (&result.device_one_time_keys_count, &result.device_unused_fallback_key_types).hash(&mut hasher);
        let keys = hasher.finish();
        let lists = &result.device_lists;
        let is_news = !lists.changed.is_empty()
            || !lists.left.is_empty()
            || self.told.keys.is_some_and(|it| it != keys);
        extensions.e2ee = Some(result);
        Ok((Some(keys), has_messages || is_news))
    }

    /// Messages for the device, by a token of their own: those up to it have arrived and are deleted.
    fn to_device(&self, extensions: &mut Extensions) -> Result<bool, SyncError> {
        let wanted = &self.request.body.extensions.to_device;
        let Some(device_id) = self.viewer().device_id.as_ref().filter(|_| wanted.enabled == Some(true))
        else {
            return Ok(false);
        };
        let (service, user) = (&self.sources().to_device, self.viewer().user);
        let until = self.until.position;
        // A token from before a restored backup may lie ahead; nothing can have been told from there.
        let from = StreamPosition(wanted.since()?.unwrap_or_default()).min(until);
        service.acknowledge(user, device_id, from)?;
        let limit = wanted.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        let limit = limit.clamp(1, limits::TO_DEVICE_EVENTS_MAX);
        let delivery = service.since(user, device_id, from, until, limit)?;
        let has_messages = !delivery.events.is_empty();
        extensions.to_device =
            Some(ToDeviceResult { next_batch: delivery.up_to.0.to_string(), events: delivery.events });
        Ok(has_messages)
    }

    fn e2ee(&self) -> Result<Option<E2eeResult>, SyncError> {
        let is_wanted = self.request.body.extensions.e2ee.enabled == Some(true);
        let Some(device_id) = self.viewer().device_id.as_ref().filter(|_| is_wanted) else {
            return Ok(None);
        };
        let user = self.viewer().user;
        let (mut counts, unused) = self.sources().keys.stock(user, device_id)?;
        counts.entry(COUNTED_ALGORITHM.to_owned()).or_default();
        let mut device_lists = DeviceListsResult::default();
        // A connection that begins tells of no changes: its client asks for the keys of all whom it knows.
        if let Some(since) = self.since.filter(|since| since.position < self.until.position) {
            let changes = self.sync.device_lists().changes(user, since.position, self.until.position)?;
            device_lists.changed = changes.changed.into_iter().collect();
            device_lists.left = changes.left.into_iter().collect();
        }
        Ok(Some(E2eeResult {
            device_lists,
            device_one_time_keys_count: counts,
            device_unused_fallback_key_types: unused,
        }))
    }
}
