//! Which threads the user follows (MSC4308): the newest changes, with a token to page back for others.

use super::{
    look::Look,
    response::{Extensions, SubscriptionResult, SubscriptionsResult, UnsubscriptionResult},
};
use crate::{
    rooms::ThreadSubscriptions,
    storage::{StreamPosition, records::SubscriptionState},
    sync::{SyncError, limits},
};

impl Look<'_> {
    /// What changed since the client was told; all that there is the first time. True when the client has been told
    /// now.
    pub(super) fn thread_subscriptions(&self, extensions: &mut Extensions) -> Result<bool, SyncError> {
        let wanted = &self.request.body.extensions.thread_subscriptions;
        if wanted.enabled != Some(true) {
            return Ok(false);
        }
        let sources = self.sources();
        let since = if self.told.subscriptions { self.last() } else { StreamPosition(0) };
        let span = (since, StreamPosition(self.until.position.0.saturating_add(1)));
        let limit = wanted.limit.map_or(limits::SUBSCRIPTIONS_TOLD_MAX, |limit| {
            usize::try_from(limit).unwrap_or(usize::MAX).min(limits::SUBSCRIPTIONS_TOLD_MAX)
        });
        let user = self.viewer().user;
        let changes = ThreadSubscriptions::changes(&sources.storage, &sources.events, user, span, limit)?;
        let mut told = SubscriptionsResult {
            prev_batch: changes.older.map(|older| older.0.to_string()),
            ..SubscriptionsResult::default()
        };
        for (room_id, threads) in changes.threads {
            for (root, change) in threads {
                let bump_stamp = change.position.0;
                if change.state == SubscriptionState::Unsubscribed {
                    let room = told.unsubscribed.entry(room_id.clone()).or_default();
                    room.insert(root, UnsubscriptionResult { bump_stamp });
                } else {
                    let automatic = change.state == SubscriptionState::Automatic;
                    let room = told.subscribed.entry(room_id.clone()).or_default();
                    room.insert(root, SubscriptionResult { automatic, bump_stamp });
                }
            }
        }
        if !told.subscribed.is_empty() || !told.unsubscribed.is_empty() {
            extensions.thread_subscriptions = Some(told);
        }
        Ok(true)
    }
}
