//! What each `mxc://` address stands for.

use std::{sync::Arc, time::Duration};

use ruma::{OwnedServerName, ServerName};
use tokio::{sync::Notify, time::Instant};

use super::{ContentFiles, MediaAddress, MediaError, limits};
use crate::{
    storage::{
        Json, Read, Storage, StorageError, Transaction,
        records::{FileHash, MediaKind, MediaRecord},
        tables::{DOOMED_FILES, MEDIA, MEDIA_FILES, PENDING_UPLOADS, REMOTE_MEDIA_USED},
    },
    users::Clock,
};

/// What the operator chooses.
#[derive(Debug, Clone)]
pub struct MediaSettings {
    /// The largest file, in bytes.
    pub upload_bytes_max: u64,
    /// How many bytes each user may have uploaded, if there is a bound.
    pub user_quota_bytes: Option<u64>,
    /// Whether the endpoints without authentication serve what comes from now on.
    pub legacy_downloads: bool,
    /// How long media of other servers is kept that nobody asks for, in milliseconds; `None` for ever.
    pub remote_keep_ms: Option<u64>,
    /// The largest image of which thumbnails are made, in pixels.
    pub thumbnail_pixels_max: u64,
}

/// One piece of media that is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Its address.
    pub address: MediaAddress,
    /// What is known of it.
    pub record: MediaRecord,
}

/// The media of this server, and what was fetched from others; cheap to clone.
#[derive(Debug, Clone)]
pub struct MediaStore {
    pub(super) storage: Storage,
    pub(super) files: ContentFiles,
    pub(super) server_name: OwnedServerName,
    pub(super) clock: Clock,
    pub(super) settings: Arc<MediaSettings>,
    /// Told when an upload to a media id made before has ended.
    pub(super) uploaded: Arc<Notify>,
    pub(super) places: Arc<super::uploads::Places>,
}

impl MediaStore {
    /// Over the store and the media folder.
    pub fn new(
        storage: Storage,
        files: ContentFiles,
        server_name: OwnedServerName,
        clock: Clock,
        settings: MediaSettings,
    ) -> Self {
        let (settings, uploaded, places) = (Arc::new(settings), Arc::default(), Arc::default());
        Self { storage, files, server_name, clock, settings, uploaded, places }
    }

    /// What the operator has chosen.
    pub fn settings(&self) -> &MediaSettings {
        &self.settings
    }

    /// The name of this server.
    pub fn server_name(&self) -> &ServerName {
        &self.server_name
    }

    /// The media folder.
    pub fn files(&self) -> &ContentFiles {
        &self.files
    }

    /// What is here under an address; media in quarantine is not found. Blocks.
    pub fn find(&self, address: &MediaAddress) -> Result<Media, MediaError> {
        let Some(Json(record)) = self.storage.get(&MEDIA, &address.key())? else {
            return Err(self.why_not_here(address)?);
        };
        if record.quarantined_by.is_some() {
            return Err(MediaError::NotFound);
        }
        if record.kind == MediaKind::Remote {
            self.note_use(address)?;
        }
        Ok(Media { address: address.clone(), record })
    }

    /// Whether there is a row for an address, in quarantine or not: then nothing is to be fetched. Blocks.
    pub fn is_known(&self, address: &MediaAddress) -> Result<bool, MediaError> {
        Ok(self.storage.contains(&MEDIA, &address.key())?)
    }

    fn why_not_here(&self, address: &MediaAddress) -> Result<MediaError, StorageError> {
        if address.server_name != self.server_name {
            return Ok(MediaError::NotFound);
        }
        let pending = self.storage.get(&PENDING_UPLOADS, &address.media_id)?;
        let waits = pending.is_some_and(|(_, expires_ms)| expires_ms > self.clock.now_ms());
        Ok(if waits { MediaError::NotYetUploaded } else { MediaError::NotFound })
    }

    /// As [`MediaStore::find`], but waits for an upload that has not come yet, at most for `time_max` (and
    /// [`limits::UPLOAD_WAIT_TIME_MAX`]).
    pub async fn find_or_wait(
        &self,
        address: &MediaAddress,
        time_max: Duration,
    ) -> Result<Media, MediaError> {
        let until = Instant::now() + time_max.min(limits::UPLOAD_WAIT_TIME_MAX);
        loop {
            // Asked for before looking, so that an upload in between is not missed.
            let uploaded = self.uploaded.notified();
            let mut uploaded = std::pin::pin!(uploaded);
            uploaded.as_mut().enable();
            let (store, wanted) = (self.clone(), address.clone());
            let found = blocking(move || store.find(&wanted)).await;
            match found {
                Err(MediaError::NotYetUploaded) => {}
                found => return found,
            }
            if tokio::time::timeout_at(until, uploaded).await.is_err() {
                return Err(MediaError::NotYetUploaded);
            }
        }
    }

    /// Opens the file of a piece of media or of a thumbnail for reading.
    pub async fn open(&self, file: &FileHash) -> Result<tokio::fs::File, MediaError> {
        let mut opened = tokio::fs::File::open(self.files.path(file)).await.map_err(|e| {
            tracing::error!(file = %file.to_hex(), "a media file is missing on disk or unreadable: {e}");
            MediaError::from(e)
        })?;
        opened.set_max_buf_size(limits::CHUNK_BYTES);
        Ok(opened)
    }

    /// Notes that remote media was asked for, at most once in [`limits::USE_NOTED_INTERVAL_MS`].
    fn note_use(&self, address: &MediaAddress) -> Result<(), StorageError> {
        let (key, now_ms) = (address.key(), self.clock.now_ms());
        let noted_ms = self.storage.get(&REMOTE_MEDIA_USED, &key)?.unwrap_or(0);
        if noted_ms.saturating_add(limits::USE_NOTED_INTERVAL_MS) > now_ms {
            return Ok(());
        }
        self.storage.write(|tx| {
            tx.put(&REMOTE_MEDIA_USED, &key, &now_ms);
            Ok(())
        })
    }
}

/// Counts one more row that refers to a file.
pub(super) fn refer(tx: &mut Transaction<'_>, file: &FileHash, bytes: u64) -> Result<(), StorageError> {
    let (references, _) = tx.get(&MEDIA_FILES, file)?.unwrap_or((0, bytes));
    tx.put(&MEDIA_FILES, file, &(references.saturating_add(1), bytes));
    tx.delete(&DOOMED_FILES, file);
    Ok(())
}

/// Counts one row less that refers to a file; true when it was the last one, and the file is to be removed.
pub(super) fn release(tx: &mut Transaction<'_>, file: &FileHash) -> Result<bool, StorageError> {
    let (references, bytes) = tx.get(&MEDIA_FILES, file)?.unwrap_or((0, 0));
    if references > 1 {
        tx.put(&MEDIA_FILES, file, &(references - 1, bytes));
        return Ok(false);
    }
    tx.delete(&MEDIA_FILES, file);
    tx.put(&DOOMED_FILES, file, &());
    Ok(true)
}

/// Runs work that blocks off the runtime's threads, for the asynchronous methods of this folder.
pub(super) async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<MediaError> + Send + 'static,
{
    let span = tracing::Span::current();
    match tokio::task::spawn_blocking(move || span.in_scope(work)).await {
        Ok(outcome) => outcome,
        Err(failure) => match failure.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_cancelled) => Err(E::from(MediaError::Busy)),
        },
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
