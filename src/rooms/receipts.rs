//! How far users have read ([receipts], [fully read markers]).
//!
//! A receipt is one row, in the order of positions within its room; moving it replaces the row, so that a
//! sync reads what moved and an initial one reads each receipt once. A receipt never moves backward. Moving
//! one also moves the room's row in the order of changes. Main type: [`Receipts`].
//!
//! [receipts]: https://spec.matrix.org/v1.19/client-server-api/#receipts
//! [fully read markers]: https://spec.matrix.org/v1.19/client-server-api/#fully-read-markers

use std::collections::BTreeMap;

use ruma::{
    EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, RoomId, UInt,
    events::receipt::{Receipt, ReceiptEventContent, ReceiptThread, ReceiptType},
};

use super::{EventStore, ReadError, RoomError, Viewer, Visibility, VisibleEvent, changes, limits, threads};
use crate::{
    storage::{
        ChangeScope, Direction, Read, ShortRoomId, ShortUserId, Storage, StorageError, StreamPosition,
        TimelineKey, Transaction,
        records::{ReceiptKind, ReceiptRow},
        tables::{READ_UP_TO, RECEIPT_POSITIONS, RECEIPTS},
    },
    users::{AccountData, Clock, UserError},
};

const FULLY_READ: &str = "m.fully_read";

/// Why a receipt was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// Not a member, or no such event.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The event is not in the thread that the receipt is for.
    #[error("The event is not in the thread {0}")]
    WrongThread(String),
    /// Neither `main` nor an event id.
    #[error("`{0}` is not a thread")]
    InvalidThread(String),
    /// The fully read marker could not be kept.
    #[error(transparent)]
    Marker(#[from] UserError),
    /// The fully read marker could not be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl From<StorageError> for ReceiptError {
    fn from(error: StorageError) -> Self {
        Self::Read(error.into())
    }
}

impl From<RoomError> for ReceiptError {
    fn from(error: RoomError) -> Self {
        Self::Read(error.into())
    }
}

/// One thing that a user says to have read.
#[derive(Debug, Clone)]
pub enum Mark {
    /// A receipt.
    Receipt {
        /// Who is told.
        kind: ReceiptKind,
        /// The part of the room that it counts for.
        thread: ReceiptThread,
        /// The event read up to.
        event_id: OwnedEventId,
    },
    /// The fully read marker.
    FullyRead(OwnedEventId),
}

impl Mark {
    fn event_id(&self) -> &EventId {
        match self {
            Self::Receipt { event_id, .. } | Self::FullyRead(event_id) => event_id,
        }
    }
}

/// The service for receipts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Receipts {
    storage: Storage,
    events: EventStore,
    visibility: Visibility,
    clock: Clock,
}

impl Receipts {
    /// Over the rooms' events; `clock` dates receipts.
    pub fn new(storage: Storage, events: EventStore, visibility: Visibility, clock: Clock) -> Self {
        Self { storage, events, visibility, clock }
    }

    /// Moves a joined user's receipts and marker, all or none. One that would move backward stays.
    pub fn mark(&self, viewer: &Viewer, room_id: &RoomId, marks: &[Mark]) -> Result<(), ReceiptError> {
        let view = self.visibility.joined(viewer, room_id)?;
        let mut checked = Vec::with_capacity(marks.len());
        for mark in marks {
            let stored = self.events.by_id(mark.event_id())?.ok_or(ReadError::NotFound("Event"))?;
            let event = view.sees(stored)?.ok_or(ReadError::NotFound("Event"))?;
            let key = event.meta().timeline.ok_or(ReadError::NotFound("Event"))?;
            if let Mark::Receipt { thread, .. } = mark {
                self.check_thread(&event, thread)?;
            }
            checked.push((mark, event, key));
        }
        let room = view.room();
        self.storage.write(|tx| {
            for (mark, event, key) in &checked {
                match mark {
                    Mark::Receipt { kind, thread, .. } => {
                        let thread = thread.as_str().unwrap_or_default().to_owned();
                        let (event, at_ms) = (event.short(), self.clock.now_ms());
                        let row =
                            ReceiptRow { user: viewer.user, kind: *kind, event, key: *key, at_ms, thread };
                        let moved = Self::put(tx, room, &row)?;
                        if let Some(position) = moved.filter(|_| *kind == ReceiptKind::Read) {
                            tx.announce(ChangeScope::OwnReceipt(room), position);
                        }
                    }
                    Mark::FullyRead(event_id) => self.put_fully_read(tx, viewer, room, event_id, *key)?,
                }
            }
            Ok(())
        })
    }

    /// Moves one receipt, of a local or remote user, unless that would be backward. Answers with its position, if it
    /// was moved.
    pub fn put(
        tx: &mut Transaction<'_>,
        room: ShortRoomId,
        row: &ReceiptRow,
    ) -> Result<Option<StreamPosition>, StorageError> {
        let id = (room, row.user, row.kind, row.thread.clone());
        if let Some(position) = tx.get(&RECEIPT_POSITIONS, &id)? {
            let before = tx.get(&RECEIPTS, &(room, position))?;
            if before.is_some_and(|before| before.key >= row.key) {
                return Ok(None);
            }
            tx.delete(&RECEIPTS, &(room, position));
        }
        let position = tx.next_position();
        tx.put(&RECEIPTS, &(room, position), row);
        tx.put(&RECEIPT_POSITIONS, &id, &position);
        if row.thread.is_empty() {
            Self::advance(tx, row.user, room, row.key)?;
        }
        changes::mark_changed(tx, room, position)?;
        tx.announce(
            match row.kind {
                ReceiptKind::Read => ChangeScope::Room(room),
                ReceiptKind::ReadPrivate => ChangeScope::User(row.user),
            },
            position,
        );
        Ok(Some(position))
    }

    /// Notes that a receipt says that the user has read up to `key` regardless of threads. Sending an event does
    /// not: it would count all threads as read. Who counts unread events sees to the user's own.
    fn advance(
        tx: &mut Transaction<'_>,
        user: ShortUserId,
        room: ShortRoomId,
        key: TimelineKey,
    ) -> Result<(), StorageError> {
        if tx.get(&READ_UP_TO, &(user, room))?.is_none_or(|before| before < key) {
            tx.put(&READ_UP_TO, &(user, room), &key);
        }
        Ok(())
    }

    /// How far a user has read regardless of threads, by a receipt of either kind; `None` for
    /// nothing yet.
    pub fn read_up_to(
        reader: &impl Read,
        user: ShortUserId,
        room: ShortRoomId,
    ) -> Result<Option<TimelineKey>, StorageError> {
        reader.get(&READ_UP_TO, &(user, room))
    }

    /// How far a user has read a thread (`main` or a root's event id): by a receipt for it of either kind, or
    /// by one regardless of threads.
    pub fn thread_read_up_to(
        reader: &impl Read,
        user: ShortUserId,
        room: ShortRoomId,
        thread: &str,
    ) -> Result<Option<TimelineKey>, StorageError> {
        let mut furthest = Self::read_up_to(reader, user, room)?;
        for kind in [ReceiptKind::Read, ReceiptKind::ReadPrivate] {
            let id = (room, user, kind, thread.to_owned());
            if let Some(position) = reader.get(&RECEIPT_POSITIONS, &id)? {
                let receipt = reader.get(&RECEIPTS, &(room, position))?;
                furthest = furthest.max(receipt.map(|receipt| receipt.key));
            }
        }
        Ok(furthest)
    }

    /// The receipts of a room that moved after `since` and not after `until`, as `viewer` may see them: private
    /// ones are their owner's. In order; at most [`limits::RECEIPTS_READ_MAX`], the newest.
    pub fn since(
        reader: &impl Read,
        room: ShortRoomId,
        since: StreamPosition,
        until: StreamPosition,
        viewer: ShortUserId,
    ) -> Result<Vec<ReceiptRow>, StorageError> {
        let after = |position: StreamPosition| (room, StreamPosition(position.0.saturating_add(1)));
        let range = RECEIPTS.between(&after(since), &after(until));
        let rows = reader.scan(&RECEIPTS, &range, Direction::Backward).take(limits::RECEIPTS_READ_MAX);
        let mut receipts = Vec::new();
        for row in rows {
            let (_, receipt) = row?;
            if receipt.kind == ReceiptKind::Read || receipt.user == viewer {
                receipts.push(receipt);
            }
        }
        receipts.reverse();
        Ok(receipts)
    }

    /// All receipts of a room up to `until`, within the same bound; the viewer's own are always among them.
    pub fn all(
        reader: &impl Read,
        room: ShortRoomId,
        until: StreamPosition,
        viewer: ShortUserId,
    ) -> Result<Vec<ReceiptRow>, StorageError> {
        let mut receipts = Self::since(reader, room, StreamPosition(0), until, viewer)?;
        let range = RECEIPT_POSITIONS.prefix(&(room, viewer));
        let own = reader.scan(&RECEIPT_POSITIONS, &range, Direction::Forward).take(limits::RECEIPTS_READ_MAX);
        for row in own {
            let (_, position) = row?;
            let receipt = reader.get(&RECEIPTS, &(room, position))?;
            receipts.extend(receipt.filter(|own| position <= until && !receipts.contains(own)));
        }
        Ok(receipts)
    }

    /// The receipts as contents of `m.receipt` events, one for each thread among them: within one event, a
    /// user can have only one receipt of a kind for the same event.
    pub fn contents(
        reader: &impl Read,
        receipts: &[ReceiptRow],
    ) -> Result<Vec<ReceiptEventContent>, StorageError> {
        let mut by_thread: BTreeMap<&str, ReceiptEventContent> = BTreeMap::new();
        for row in receipts {
            let mut receipt = Receipt::new(MilliSecondsSinceUnixEpoch(UInt::new_saturating(row.at_ms)));
            let thread = Some(row.thread.as_str()).filter(|thread| !thread.is_empty());
            receipt.thread = ReceiptThread::try_from(thread).unwrap_or_default();
            let kind = match row.kind {
                ReceiptKind::Read => ReceiptType::Read,
                ReceiptKind::ReadPrivate => ReceiptType::ReadPrivate,
            };
            let content =
                by_thread.entry(&row.thread).or_insert_with(|| ReceiptEventContent(BTreeMap::new()));
            let of_event = content.0.entry(reader.event_id(row.event)?).or_default();
            of_event.entry(kind).or_default().insert(reader.user_id(row.user)?, receipt);
        }
        Ok(by_thread.into_values().collect())
    }

    fn check_thread(&self, event: &VisibleEvent, thread: &ReceiptThread) -> Result<(), ReceiptError> {
        let fits = match thread {
            ReceiptThread::Unthreaded => true,
            ReceiptThread::Main => threads::thread_root(&self.events, event.stored())?.is_none(),
            ReceiptThread::Thread(root) => {
                threads::may_be_read_in_thread(&self.events, event.stored(), root)?
            }
            other => {
                return Err(ReceiptError::InvalidThread(other.as_str().unwrap_or_default().to_owned()));
            }
        };
        if fits {
            Ok(())
        } else {
            Err(ReceiptError::WrongThread(thread.as_str().unwrap_or_default().to_owned()))
        }
    }

    fn put_fully_read(
        &self,
        tx: &mut Transaction<'_>,
        viewer: &Viewer,
        room: ShortRoomId,
        event_id: &EventId,
        key: TimelineKey,
    ) -> Result<(), ReceiptError> {
        #[derive(serde::Serialize, serde::Deserialize)]
        struct FullyRead {
            event_id: OwnedEventId,
        }
        let before = AccountData::read(tx, viewer.user, Some(room), FULLY_READ)?;
        let before = before.and_then(|content| serde_json::from_str::<FullyRead>(content.get()).ok());
        if let Some(before) = before {
            let before = self.events.by_id(&before.event_id)?;
            if before.and_then(|before| before.meta.timeline).is_some_and(|before| before >= key) {
                return Ok(());
            }
        }
        let content = FullyRead { event_id: event_id.to_owned() };
        let content = serde_json::value::to_raw_value(&content)?;
        Ok(AccountData::put(tx, viewer.user, Some(room), FULLY_READ, &content)?)
    }
}
