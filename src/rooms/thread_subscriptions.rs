//! Which threads a user follows (MSC4306), and the changes of that in order, for sliding sync (MSC4308).
//!
//! A subscription that ends leaves a row that says when: a client that was away must not subscribe again for the
//! sake of an event from before. Each thread has one row in the order of changes, its newest. Main type:
//! [`ThreadSubscriptions`].

use std::collections::BTreeMap;

use ruma::{EventId, OwnedEventId, OwnedRoomId, RoomId};

use super::{EventStore, ReadError, RoomError, Timelines, Viewer, Visibility, limits, threads};
use crate::storage::{
    ChangeScope, Direction, Read, ShortEventId, ShortUserId, Storage, StorageError, StreamPosition,
    records::{SubscriptionState, ThreadSubscriptionRow},
    tables::{THREAD_SUBSCRIPTION_CHANGES, THREAD_SUBSCRIPTIONS},
};

/// Why a subscription was not changed.
#[derive(Debug, thiserror::Error)]
pub enum SubscriptionError {
    /// The thread, or its room, can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What a client subscribes for is not in the thread.
    #[error("The event is not in this thread")]
    NotInThread,
    /// The user has ended the subscription after the event for which the client subscribes.
    #[error("The user has unsubscribed after this event")]
    Unsubscribed,
}

impl From<StorageError> for SubscriptionError {
    fn from(error: StorageError) -> Self {
        Self::Read(error.into())
    }
}

impl From<RoomError> for SubscriptionError {
    fn from(error: RoomError) -> Self {
        Self::Read(error.into())
    }
}

/// A thread's change, as it stands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscriptionChange {
    /// What is so since then.
    pub state: SubscriptionState,
    /// When it changed: of two changes of a thread the greater one is later.
    pub position: StreamPosition,
}

/// A part of the changes, by room and thread.
#[derive(Debug, Default)]
pub struct SubscriptionChanges {
    /// The changes.
    pub threads: BTreeMap<OwnedRoomId, BTreeMap<OwnedEventId, SubscriptionChange>>,
    /// Where older ones begin: those before this position. `None` when these are all.
    pub older: Option<StreamPosition>,
}

/// Keeps subscriptions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ThreadSubscriptions {
    storage: Storage,
    events: EventStore,
    visibility: Visibility,
    timelines: Timelines,
}

impl ThreadSubscriptions {
    /// Over the rooms' readers.
    pub fn new(storage: Storage, events: EventStore, visibility: Visibility, timelines: Timelines) -> Self {
        Self { storage, events, visibility, timelines }
    }

    /// How a user follows a thread that they may see. [`ReadError::NotFound`] when they don't.
    pub fn get(
        &self,
        viewer: &Viewer,
        room: &RoomId,
        root: &EventId,
    ) -> Result<SubscriptionState, ReadError> {
        let root = self.root(viewer, room, root)?;
        let row = self.storage.get(&THREAD_SUBSCRIPTIONS, &(viewer.user, root))?;
        match row.map(|row| row.state) {
            None | Some(SubscriptionState::Unsubscribed) => Err(ReadError::NotFound("Subscription")),
            Some(state) => Ok(state),
        }
    }

    /// Subscribes a user to a thread; `cause` is the event for which a client does so by itself. A user's own
    /// subscription takes the place of a client's, never the other way round.
    pub fn subscribe(
        &self,
        viewer: &Viewer,
        room: &RoomId,
        root: &EventId,
        cause: Option<&EventId>,
    ) -> Result<(), SubscriptionError> {
        let root_short = self.root(viewer, room, root)?;
        let caused_at = cause.map(|cause| self.cause(viewer, room, root, cause)).transpose()?;
        self.storage.write(|tx| {
            let before = tx.get(&THREAD_SUBSCRIPTIONS, &(viewer.user, root_short))?;
            let state = match (before.map(|row| row.state), caused_at) {
                (Some(SubscriptionState::Manual), _) | (Some(SubscriptionState::Automatic), Some(_)) => {
                    return Ok(());
                }
                (_, None) => SubscriptionState::Manual,
                (Some(SubscriptionState::Unsubscribed), Some(caused_at))
                    if before.is_some_and(|row| caused_at <= row.position) =>
                {
                    return Err(SubscriptionError::Unsubscribed);
                }
                (_, Some(_)) => SubscriptionState::Automatic,
            };
            Ok(write(tx, viewer.user, root_short, before, state)?)
        })
    }

    /// Ends a subscription; there need be none.
    pub fn unsubscribe(&self, viewer: &Viewer, room: &RoomId, root: &EventId) -> Result<(), ReadError> {
        let root = self.root(viewer, room, root)?;
        self.storage.write(|tx| {
            let before = tx.get(&THREAD_SUBSCRIPTIONS, &(viewer.user, root))?;
            match before.map(|row| row.state) {
                None | Some(SubscriptionState::Unsubscribed) => Ok(()),
                Some(_) => Ok(write(tx, viewer.user, root, before, SubscriptionState::Unsubscribed)?),
            }
        })
    }

    /// The newest changes after `since` and before `until`, at most `limit`
    /// (kept under [`limits::SUBSCRIPTIONS_PAGE_MAX`]).
    pub fn changes(
        reader: &impl Read,
        events: &EventStore,
        user: ShortUserId,
        (since, until): (StreamPosition, StreamPosition),
        limit: usize,
    ) -> Result<SubscriptionChanges, RoomError> {
        let limit = limit.clamp(1, limits::SUBSCRIPTIONS_PAGE_MAX);
        let after = StreamPosition(since.0.saturating_add(1));
        let range = THREAD_SUBSCRIPTION_CHANGES.between(&(user, after), &(user, until));
        let mut changes = SubscriptionChanges::default();
        let rows = reader.scan(&THREAD_SUBSCRIPTION_CHANGES, &range, Direction::Backward);
        let mut oldest = until;
        for (count, row) in rows.enumerate() {
            if count >= limit {
                changes.older = Some(oldest);
                break;
            }
            let ((_, position), root) = row?;
            oldest = position;
            let row = reader.get(&THREAD_SUBSCRIPTIONS, &(user, root))?;
            // One that has changed meanwhile is told by those who come later.
            let Some(row) = row.filter(|row| row.position == position) else { continue };
            let Some(stored) = events.get(root)? else { continue };
            let change = SubscriptionChange { state: row.state, position };
            let room = changes.threads.entry(stored.event.room_id().to_owned()).or_default();
            room.insert(stored.event.event_id().to_owned(), change);
        }
        Ok(changes)
    }

    /// [`changes`](Self::changes) after `since`, of those before `until` if that is given, and that are durable.
    pub fn page(
        &self,
        user: ShortUserId,
        (since, until): (Option<StreamPosition>, Option<StreamPosition>),
        limit: usize,
    ) -> Result<SubscriptionChanges, RoomError> {
        let end = StreamPosition(self.storage.position().0.saturating_add(1));
        let span = (since.unwrap_or_default(), until.map_or(end, |until| until.min(end)));
        Self::changes(&self.storage, &self.events, user, span, limit)
    }

    /// Whether a user is subscribed to the thread of a root.
    pub fn is_subscribed(
        reader: &impl Read,
        user: ShortUserId,
        root: &EventId,
    ) -> Result<bool, StorageError> {
        let Some(root) = reader.short_event_id(root)? else { return Ok(false) };
        let row = reader.get(&THREAD_SUBSCRIPTIONS, &(user, root))?;
        Ok(row.is_some_and(|row| row.state != SubscriptionState::Unsubscribed))
    }

    fn root(&self, viewer: &Viewer, room: &RoomId, root: &EventId) -> Result<ShortEventId, ReadError> {
        let missing = |error| match error {
            ReadError::NotInRoom => ReadError::NotFound("Thread"),
            other => other,
        };
        let view = self.visibility.reader(viewer, room).map_err(missing)?;
        Ok(self.timelines.event(&view, root)?.short())
    }

    /// When the event that causes a subscription came.
    fn cause(
        &self,
        viewer: &Viewer,
        room: &RoomId,
        root: &EventId,
        cause: &EventId,
    ) -> Result<StreamPosition, SubscriptionError> {
        let view = self.visibility.reader(viewer, room)?;
        let cause = match self.timelines.event(&view, cause) {
            Ok(cause) => cause,
            Err(ReadError::NotFound(_)) => return Err(SubscriptionError::NotInThread),
            Err(other) => return Err(other.into()),
        };
        if !threads::is_sent_to_thread(&self.events, cause.stored(), root)? {
            return Err(SubscriptionError::NotInThread);
        }
        Ok(cause.meta().position)
    }
}

fn write(
    tx: &mut crate::storage::Transaction<'_>,
    user: ShortUserId,
    root: ShortEventId,
    before: Option<ThreadSubscriptionRow>,
    state: SubscriptionState,
) -> Result<(), StorageError> {
    if let Some(before) = before {
        tx.delete(&THREAD_SUBSCRIPTION_CHANGES, &(user, before.position));
    }
    let position = tx.next_position();
    tx.put(&THREAD_SUBSCRIPTIONS, &(user, root), &ThreadSubscriptionRow { position, state });
    tx.put(&THREAD_SUBSCRIPTION_CHANGES, &(user, position), &root);
    tx.announce(ChangeScope::User(user), position);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rooms::{
        appender::Draft,
        testing::{RoomsFixture, content},
    };
    use serde_json::json;

    struct Setting {
        fixture: RoomsFixture,
        subscriptions: ThreadSubscriptions,
        viewer: Viewer,
        room: OwnedRoomId,
    }

    impl Setting {
        fn new() -> Self {
            let fixture = RoomsFixture::new();
            let alice = RoomsFixture::user("alice");
            let room = fixture.public_room(&alice);
            let RoomsFixture { storage, index, events, states, .. } = &fixture;
            let visibility = Visibility::new(storage.clone(), index.clone(), events.clone(), states.clone());
            let timelines = Timelines::new(storage.clone(), events.clone(), states.clone());
            let subscriptions =
                ThreadSubscriptions::new(storage.clone(), events.clone(), visibility, timelines);
            let user = storage.short_user_id(&alice).unwrap().unwrap();
            let viewer = Viewer { user, user_id: alice, device_id: None };
            Self { subscriptions, viewer, room, fixture }
        }

        fn say(&self) -> OwnedEventId {
            self.fixture.say(&self.room, &self.viewer.user_id, "x")
        }

        fn answer(&self, root: &EventId) -> OwnedEventId {
            let json = json!({"body": "y", "m.relates_to": {"rel_type": "m.thread", "event_id": root}});
            let draft = Draft::message(&self.viewer.user_id, "m.room.message", content(json));
            self.fixture.append(&self.room, draft).unwrap()
        }

        fn subscribe(&self, root: &EventId, cause: Option<&EventId>) -> Result<(), SubscriptionError> {
            self.subscriptions.subscribe(&self.viewer, &self.room, root, cause)
        }

        fn state(&self, root: &EventId) -> Option<SubscriptionState> {
            match self.subscriptions.get(&self.viewer, &self.room, root) {
                Ok(state) => Some(state),
                Err(ReadError::NotFound(_)) => None,
                Err(other) => panic!("{other}"),
            }
        }

        fn changes(&self, since: u64, until: u64, limit: usize) -> (Vec<SubscriptionChange>, Option<u64>) {
            let RoomsFixture { storage, events, .. } = &self.fixture;
            let span = (StreamPosition(since), StreamPosition(until));
            let found = ThreadSubscriptions::changes(storage, events, self.viewer.user, span, limit).unwrap();
            let mut changes: Vec<_> = found.threads.into_values().flat_map(BTreeMap::into_values).collect();
            changes.sort_by_key(|change| change.position);
            (changes, found.older.map(|older| older.0))
        }
    }

    #[test]
    fn what_the_user_says_goes_before_what_clients_say() {
        let it = Setting::new();
        let root = it.say();
        let first = it.answer(&root);
        assert_eq!(it.state(&root), None);
        it.subscribe(&root, Some(&first)).unwrap();
        assert_eq!(it.state(&root), Some(SubscriptionState::Automatic));
        it.subscribe(&root, None).unwrap();
        it.subscribe(&root, Some(&first)).unwrap();
        assert_eq!(it.state(&root), Some(SubscriptionState::Manual));
        let second = it.answer(&root);
        it.subscriptions.unsubscribe(&it.viewer, &it.room, &root).unwrap();
        it.subscriptions.unsubscribe(&it.viewer, &it.room, &root).unwrap();
        assert_eq!(it.state(&root), None);
        for earlier in [&first, &second] {
            let refused = it.subscribe(&root, Some(earlier));
            assert!(matches!(refused, Err(SubscriptionError::Unsubscribed)));
        }
        let third = it.answer(&root);
        it.subscribe(&root, Some(&third)).unwrap();
        assert_eq!(it.state(&root), Some(SubscriptionState::Automatic));
    }

    #[test]
    fn only_events_of_the_thread_cause_a_subscription() {
        let it = Setting::new();
        let (root, other) = (it.say(), it.say());
        let elsewhere = it.answer(&other);
        let nowhere = OwnedEventId::try_from("$nowhere").unwrap();
        for cause in [&root, &other, &elsewhere, &nowhere] {
            assert!(matches!(it.subscribe(&root, Some(cause)), Err(SubscriptionError::NotInThread)));
        }
        let missing = it.subscribe(&nowhere, None);
        assert!(matches!(missing, Err(SubscriptionError::Read(ReadError::NotFound(_)))));
    }

    #[test]
    fn changes_are_told_newest_first_and_once() {
        let it = Setting::new();
        let (first, second) = (it.say(), it.say());
        it.subscribe(&first, None).unwrap();
        it.subscribe(&second, None).unwrap();
        it.subscriptions.unsubscribe(&it.viewer, &it.room, &first).unwrap();
        let (all, older) = it.changes(0, u64::MAX, 10);
        let states: Vec<_> = all.iter().map(|change| change.state).collect();
        assert_eq!(states, [SubscriptionState::Manual, SubscriptionState::Unsubscribed]);
        assert_eq!(older, None);
        let (newest, older) = it.changes(0, u64::MAX, 1);
        assert_eq!(newest, all[1..]);
        assert_eq!(it.changes(0, older.unwrap(), 1), (all[..1].to_vec(), None));
        assert_eq!(it.changes(all[1].position.0, u64::MAX, 10), (Vec::new(), None));
    }
}
