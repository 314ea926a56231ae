//! Deleting a room from this server: its local users are made to leave, its aliases go, and everything that is
//! stored of it is removed from disk.
//!
//! It is a task in the background, one room at a time, in small transactions; its state is a row
//! ([`RoomDeletionRecord`]), so that it goes on where it was after a restart. As long as it goes on nobody can join
//! the room. Events of the room that stand in no timeline (what others referred to) are found by walking all
//! events of the server, some thousands at a time. The main type is [`RoomDeletions`].

mod purge;
mod rows;
mod shutdown;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ruma::{OwnedUserId, RoomId};
use tokio::sync::Notify;

use super::{Appender, EventSender, Memberships, RoomCreator, RoomError, blocks, limits};
use crate::{
    storage::{
        Direction, Json, Read, ShortRoomId, Storage, StorageError,
        records::{DeletionPhase, RoomDeletionRecord},
        tables::{OUTBOX, ROOM_DELETIONS, ROOMS_BEING_DELETED},
    },
    users::{Clock, random_bytes},
};

/// The id of a deletion.
pub type DeletionId = [u8; 16];

/// What a deletion is to do.
#[derive(Debug, Clone)]
pub struct DeletionRequest {
    /// Who asks.
    pub by: OwnedUserId,
    /// Whose new room the local users are brought to.
    pub new_room_user: Option<OwnedUserId>,
    /// That room's name.
    pub new_room_name: String,
    /// The message in it.
    pub message: String,
    /// Whether rows are removed at all.
    pub purges: bool,
    /// Whether they are even if a local user could not be made to leave.
    pub forces: bool,
}

/// What [`RoomDeletions`] works with.
#[derive(Debug, Clone)]
pub struct DeletionSources {
    /// Reads and writes rooms.
    pub appender: Appender,
    /// Makes users leave, and join the new room.
    pub memberships: Memberships,
    /// Makes the new room.
    pub creator: RoomCreator,
    /// Says why in it.
    pub sender: EventSender,
    /// The time.
    pub clock: Clock,
}

/// Deletes rooms. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RoomDeletions {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    sources: DeletionSources,
    /// There is something to do.
    scheduled: Notify,
    /// Held while a deletion is worked off.
    working: Mutex<()>,
}

/// The text of a deletion's id.
pub fn id_text(id: DeletionId) -> String {
    URL_SAFE_NO_PAD.encode(id)
}

/// The id that a text stands for.
pub fn parse_id(text: &str) -> Option<DeletionId> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

impl RoomDeletions {
    /// The service.
    pub fn new(sources: DeletionSources) -> Self {
        Self { inner: Arc::new(Inner { sources, scheduled: Notify::new(), working: Mutex::new(()) }) }
    }

    fn storage(&self) -> &Storage {
        self.inner.sources.appender.storage()
    }

    /// Has a room deleted; refused while it is being deleted already.
    pub fn schedule(&self, room_id: &RoomId, request: DeletionRequest) -> Result<DeletionId, RoomError> {
        let id: DeletionId = random_bytes().map_err(|_| RoomError::NoRandomness)?;
        let index = self.inner.sources.appender.index();
        if index.room(room_id)?.is_none() {
            return Err(RoomError::RoomNotFound(room_id.to_owned()));
        }
        let record = RoomDeletionRecord {
            room_id: room_id.to_owned(),
            by: request.by,
            started_at_ms: self.inner.sources.clock.now_ms(),
            ended_at_ms: None,
            phase: DeletionPhase::Scheduled,
            error: None,
            new_room_user: request.new_room_user,
            new_room_name: request.new_room_name,
            message: request.message,
            purges: request.purges,
            forces: request.forces,
            new_room: None,
            kicked: Vec::new(),
            not_kicked: Vec::new(),
            aliases: Vec::new(),
            looked_at_to: 0,
            events_removed: 0,
            is_index_removed: false,
        };
        self.storage().write(|rows| {
            if rows.contains(&ROOMS_BEING_DELETED, &room_id.to_owned())? {
                return Err(RoomError::InvalidParameter("The room is being deleted already".to_owned()));
            }
            blocks::set_being_deleted(rows, room_id, Some(id));
            rows.put(&ROOM_DELETIONS, &id, &Json(record));
            Ok(())
        })?;
        self.inner.scheduled.notify_one();
        Ok(id)
    }

    /// A deletion.
    pub fn get(&self, id: DeletionId) -> Result<Option<RoomDeletionRecord>, StorageError> {
        Ok(self.storage().get(&ROOM_DELETIONS, &id)?.map(|Json(record)| record))
    }

    /// All deletions that are remembered.
    pub fn all(&self) -> Result<Vec<(DeletionId, RoomDeletionRecord)>, StorageError> {
        let rows = self.storage().scan(&ROOM_DELETIONS, &ROOM_DELETIONS.all(), Direction::Forward);
        rows.map(|row| row.map(|(id, Json(record))| (id, record))).collect()
    }

    /// Works off what is scheduled, as long as the server runs.
    pub async fn run(self) {
        loop {
            let deletions = self.clone();
            let outcome = tokio::task::spawn_blocking(move || deletions.work_off()).await;
            let failed = match outcome {
                Ok(Ok(())) => false,
                Ok(Err(error)) => {
                    tracing::error!("deleting a room pauses: {error}");
                    true
                }
                Err(error) => {
                    tracing::error!("deleting a room failed: {error}");
                    true
                }
            };
            if failed {
                tokio::time::sleep(limits::DELETION_PAUSE).await;
            } else {
                self.inner.scheduled.notified().await;
            }
        }
    }

    /// Works off everything that is scheduled, the oldest first. Errors of the store end it; those of one room end
    /// that room's deletion.
    pub fn work_off(&self) -> Result<(), StorageError> {
        let _working = self.inner.working.lock().unwrap_or_else(PoisonError::into_inner);
        self.forget_old()?;
        loop {
            let unfinished = |(_, record): &(_, RoomDeletionRecord)| {
                !matches!(record.phase, DeletionPhase::Complete | DeletionPhase::Failed)
            };
            let next =
                self.all()?.into_iter().filter(unfinished).min_by_key(|(_, record)| record.started_at_ms);
            let Some((id, mut record)) = next else { return Ok(()) };
            let outcome = self.delete(id, &mut record);
            match outcome {
                Ok(()) => record.phase = DeletionPhase::Complete,
                Err(RoomError::Storage(error)) => return Err(error),
                Err(error) => {
                    tracing::error!(room_id = %record.room_id, "a room could not be deleted: {error}");
                    record.phase = DeletionPhase::Failed;
                    record.error = Some(error.to_string());
                }
            }
            record.ended_at_ms = Some(self.inner.sources.clock.now_ms());
            tracing::info!(room_id = %record.room_id, events = record.events_removed, "the deletion of a room has ended");
            self.storage().write(|rows| {
                blocks::set_being_deleted(rows, &record.room_id, None);
                rows.put(&ROOM_DELETIONS, &id, &Json(record));
                Ok::<_, StorageError>(())
            })?;
        }
    }

    fn delete(&self, id: DeletionId, record: &mut RoomDeletionRecord) -> Result<(), RoomError> {
        if matches!(record.phase, DeletionPhase::Scheduled | DeletionPhase::ShuttingDown) {
            record.phase = DeletionPhase::ShuttingDown;
            self.save(id, record)?;
            self.shut_down(id, record)?;
        }
        if !record.purges {
            return Ok(());
        }
        if !record.not_kicked.is_empty() && !record.forces {
            return Err(RoomError::Forbidden("Some users could not be made to leave".to_owned()));
        }
        self.wait_until_told(&record.room_id)?;
        record.phase = DeletionPhase::Purging;
        self.save(id, record)?;
        self.purge(id, record)
    }

    /// Waits, within bounds, until other servers have been sent what happened in the room: that local users left.
    fn wait_until_told(&self, room_id: &RoomId) -> Result<(), StorageError> {
        let Some(room) = self.storage().short_room_id(room_id)? else { return Ok(()) };
        let end = Instant::now() + limits::DELETION_WAIT_MAX;
        while Instant::now() < end && self.has_unsent(room)? {
            std::thread::sleep(limits::DELETION_WAIT_STEP);
        }
        Ok(())
    }

    fn has_unsent(&self, room: ShortRoomId) -> Result<bool, StorageError> {
        let appender = &self.inner.sources.appender;
        for row in self.storage().scan(&OUTBOX, &OUTBOX.all(), Direction::Forward) {
            let (_, event) = row?;
            if appender.events().meta(event)?.is_some_and(|meta| meta.room == room) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn save(&self, id: DeletionId, record: &RoomDeletionRecord) -> Result<(), StorageError> {
        self.storage().write(|rows| {
            rows.put(&ROOM_DELETIONS, &id, &Json(record.clone()));
            Ok(())
        })
    }

    /// Forgets deletions that ended long ago.
    fn forget_old(&self) -> Result<(), StorageError> {
        let kept = u64::try_from(limits::DELETIONS_KEPT.as_millis()).unwrap_or(u64::MAX);
        let oldest = self.inner.sources.clock.now_ms().saturating_sub(kept);
        let old = |record: &RoomDeletionRecord| record.ended_at_ms.is_some_and(|ended| ended < oldest);
        let old: Vec<_> =
            self.all()?.into_iter().filter(|(_, record)| old(record)).map(|(id, _)| id).collect();
        if old.is_empty() {
            return Ok(());
        }
        self.storage().write(|rows| {
            old.iter().for_each(|id| rows.delete(&ROOM_DELETIONS, id));
            Ok(())
        })
    }
}
