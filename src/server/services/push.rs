//! Puts together what notifies users.

use super::{Foundation, RoomReaders};
use crate::{
    api::PushServices,
    net::outbound::Outbound,
    push::{Notifications, PushDelivery, PushRules, PushSources, Pushers, UnreadCounts, UnreadSources},
};

/// What each user wants to be notified of.
pub(super) fn rules(on: Foundation<'_>) -> PushRules {
    PushRules::new(on.storage()).following_threads(on.config.thread_subscriptions)
}

/// What each user has not read yet.
pub(super) fn unread_counts(on: Foundation<'_>, readers: &RoomReaders, rules: &PushRules) -> UnreadCounts {
    UnreadCounts::new(UnreadSources {
        storage: on.storage(),
        index: readers.index.clone(),
        events: readers.events.clone(),
        states: readers.states.clone(),
        timelines: readers.timelines.clone(),
        rules: rules.clone(),
    })
}

/// What sends notifications; its task is begun with the others.
pub(super) fn build(
    on: Foundation<'_>,
    readers: &RoomReaders,
    (push_rules, unread): (PushRules, UnreadCounts),
    outbound: &Outbound,
) -> PushServices {
    let pushers = Pushers::new(on.storage(), on.clock());
    let notifications = Notifications::new(
        on.storage(),
        readers.index.clone(),
        readers.timelines.clone(),
        readers.visibility.clone(),
        unread.clone(),
    );
    let push_delivery = PushDelivery::new(PushSources {
        storage: on.storage(),
        index: readers.index.clone(),
        events: readers.events.clone(),
        states: readers.states.clone(),
        timelines: readers.timelines.clone(),
        unread,
        pushers: pushers.clone(),
        clock: on.clock(),
        gateways: outbound.public(),
    });
    PushServices { push_rules, pushers, notifications, push_delivery }
}
