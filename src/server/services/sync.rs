//! Puts together what tells clients what is new.

use super::{Foundation, RoomReaders};
use crate::{
    api::{RoomServices, SyncServices, UserServices},
    push::{PushRules, UnreadCounts},
    rooms::Typing,
    storage::{Storage, StorageError},
    sync::{
        AccountLooks, Notifier,
        sliding::SlidingSync,
        v3::{SyncSources, SyncV3},
    },
};

/// Both syncs and what wakes them.
pub(super) fn build(
    on: Foundation<'_>,
    readers: &RoomReaders,
    (users, rooms, rules, unread): (&UserServices, &RoomServices, &PushRules, &UnreadCounts),
) -> Result<SyncServices, StorageError> {
    let sync_v3 = SyncV3::new(SyncSources {
        storage: on.storage(),
        index: readers.index.clone(),
        events: readers.events.clone(),
        states: readers.states.clone(),
        timelines: readers.timelines.clone(),
        visibility: readers.visibility.clone(),
        to_device: users.to_device.clone(),
        keys: users.encryption_keys.clone(),
        client_events: rooms.client_events.clone(),
        typing: rooms.typing.clone(),
        presence: users.presence.clone(),
        filters: users.filters.clone(),
        push_rules: rules.clone(),
        unread: unread.clone(),
    });
    Ok(SyncServices {
        device_lists: sync_v3.device_lists().clone(),
        sliding_sync: SlidingSync::with_memory(sync_v3.clone(), readers.sliding_bytes),
        sync_v3,
        account_looks: AccountLooks::default(),
        notifier: start_notifier(on.storage, &rooms.typing)?,
    })
}

/// The notifier, told by the store and by who is typing.
fn start_notifier(storage: &Storage, typing: &Typing) -> Result<Notifier, StorageError> {
    let notifier = Notifier::start(storage.clone())?;
    let told = notifier.clone();
    typing.on_change(move |room| told.room_changed(room));
    Ok(notifier)
}
