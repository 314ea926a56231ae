//! Uploads: at once, or to a media id made before (client-server API, "Content repository").

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    IncomingFile, MediaAddress, MediaError, MediaStore, WholeFile, content_type,
    limits::{self, PENDING_UPLOADS_PER_USER_MAX},
    store::refer,
};
use crate::storage::{
    Direction, Json, Read, ShortUserId, StorageError, Transaction,
    records::{MediaKind, MediaRecord},
    tables::{
        MEDIA, MEDIA_OF_USER, MEDIA_USAGE, PENDING_UPLOADS, PENDING_UPLOADS_OF_USER, REMOTE_MEDIA_USED,
    },
};

/// A media id that waits for its upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingUpload {
    /// The address.
    pub address: MediaAddress,
    /// When it stops waiting, in milliseconds since 1970.
    pub expires_ms: u64,
}

/// What came with a file.
#[derive(Debug, Clone)]
pub struct NewMedia {
    /// Where it comes from.
    pub kind: MediaKind,
    /// Who has uploaded it here.
    pub uploader: Option<ShortUserId>,
    /// The content type given.
    pub content_type: Option<String>,
    /// The file name given.
    pub filename: Option<String>,
}

impl NewMedia {
    fn record(self, file: &WholeFile, created_ms: u64, authenticated_only: bool) -> MediaRecord {
        MediaRecord {
            kind: self.kind,
            file: file.hash(),
            bytes: file.bytes(),
            content_type: self.content_type.and_then(content_type::kept),
            filename: self.filename.and_then(content_type::kept_filename),
            uploader: self.uploader,
            created_ms,
            authenticated_only,
            quarantined_by: None,
            is_protected: false,
        }
    }
}

/// Places for uploads that are being received: for all, and for each user.
#[derive(Debug)]
pub struct Places {
    all: Arc<Semaphore>,
    of_users: Mutex<HashMap<ShortUserId, usize>>,
}

impl Default for Places {
    fn default() -> Self {
        let all = Arc::new(Semaphore::new(limits::UPLOADS_CONCURRENT_MAX));
        Self { all, of_users: Mutex::default() }
    }
}

/// A place for one upload, given back when dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    user: ShortUserId,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    fn take(self: &Arc<Self>, user: ShortUserId) -> Result<Place, MediaError> {
        let permit = self.all.clone().try_acquire_owned().map_err(|_| MediaError::Busy)?;
        let mut of_users = self.of_users.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = of_users.entry(user).or_default();
        if *taken >= limits::UPLOADS_CONCURRENT_PER_USER_MAX {
            return Err(MediaError::Busy);
        }
        *taken += 1;
        Ok(Place { places: self.clone(), user, _permit: permit })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut of_users = self.places.of_users.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = of_users.get_mut(&self.user) {
            *taken -= 1;
            if *taken == 0 {
                of_users.remove(&self.user);
            }
        }
    }
}

impl MediaStore {
    /// Makes a media id for an upload that comes later. Blocks.
    pub fn create(&self, user: ShortUserId) -> Result<PendingUpload, MediaError> {
        let address = MediaAddress::random(&self.server_name)?;
        let now_ms = self.clock.now_ms();
        let expires_ms = now_ms.saturating_add(limits::PENDING_UPLOAD_LIFETIME_MS);
        self.storage.write(|tx| {
            let range = PENDING_UPLOADS_OF_USER.prefix(&(user,));
            let rows = tx.scan(&PENDING_UPLOADS_OF_USER, &range, Direction::Forward);
            let (gone, waiting): (Vec<_>, Vec<_>) =
                rows.collect::<Result<Vec<_>, _>>()?.into_iter().partition(|(_, until)| *until <= now_ms);
            if waiting.len() >= PENDING_UPLOADS_PER_USER_MAX {
                return Err(MediaError::TooManyPending);
            }
            for ((_, media_id), _) in gone {
                forget_pending(tx, user, &media_id);
            }
            tx.put(&PENDING_UPLOADS, &address.media_id, &(user, expires_ms));
            tx.put(&PENDING_UPLOADS_OF_USER, &(user, address.media_id.clone()), &expires_ms);
            Ok(())
        })?;
        Ok(PendingUpload { address, expires_ms })
    }

    /// A place for an upload of a user's, to be held until it has been kept.
    pub fn place(&self, user: ShortUserId) -> Result<Place, MediaError> {
        self.places.take(user)
    }

    /// Begins to receive a user's file.
    pub async fn begin_upload(&self, user: ShortUserId) -> Result<IncomingFile, MediaError> {
        let store = self.clone();
        let bytes_left = super::store::blocking(move || store.quota_left(user)).await?;
        if bytes_left == 0 {
            return Err(MediaError::QuotaExceeded);
        }
        self.files.begin(self.settings.upload_bytes_max).await
    }

    /// How many bytes a user may still upload.
    fn quota_left(&self, user: ShortUserId) -> Result<u64, MediaError> {
        let Some(quota) = self.settings.user_quota_bytes else { return Ok(u64::MAX) };
        let (_, bytes) = self.storage.get(&MEDIA_USAGE, &user)?.unwrap_or_default();
        Ok(quota.saturating_sub(bytes))
    }

    /// Refuses early what [`MediaStore::keep_upload_to`] would refuse in the end. Blocks.
    pub fn check_upload_to(&self, user: ShortUserId, address: &MediaAddress) -> Result<(), MediaError> {
        check_pending(self, &self.storage, user, address)
    }

    /// Keeps a user's file under a new address. Blocks.
    pub fn keep_upload(&self, file: &WholeFile, media: NewMedia) -> Result<MediaAddress, MediaError> {
        let address = MediaAddress::random(&self.server_name)?;
        self.keep(file, media, &address, |_| Ok(()))?;
        Ok(address)
    }

    /// Keeps a user's file under an address made before. Blocks.
    pub fn keep_upload_to(
        &self,
        file: &WholeFile,
        media: NewMedia,
        user: ShortUserId,
        address: &MediaAddress,
    ) -> Result<(), MediaError> {
        self.keep(file, media, address, |tx| {
            check_pending(self, tx, user, address)?;
            forget_pending(tx, user, &address.media_id);
            Ok(())
        })?;
        self.uploaded.notify_waiters();
        Ok(())
    }

    /// Keeps a file of another server under its address there; the one that is here already stays. Blocks.
    pub fn keep_remote(
        &self,
        file: &WholeFile,
        media: NewMedia,
        address: &MediaAddress,
    ) -> Result<(), MediaError> {
        let now_ms = self.clock.now_ms();
        let kept = self.keep(file, media, address, |tx| {
            tx.put(&REMOTE_MEDIA_USED, &address.key(), &now_ms);
            Ok(())
        });
        match kept {
            Err(MediaError::CannotOverwrite) => Ok(()),
            kept => kept,
        }
    }

    /// Puts a file in place and writes its rows in one transaction, with what `also` writes.
    fn keep(
        &self,
        file: &WholeFile,
        media: NewMedia,
        address: &MediaAddress,
        also: impl FnOnce(&mut Transaction<'_>) -> Result<(), MediaError>,
    ) -> Result<(), MediaError> {
        let record = media.record(file, self.clock.now_ms(), !self.settings.legacy_downloads);
        self.files.keep(file, || {
            self.storage.write(|tx| {
                if tx.contains(&MEDIA, &address.key())? {
                    return Err(MediaError::CannotOverwrite);
                }
                also(tx)?;
                if let Some(user) = record.uploader {
                    self.count_upload(tx, user, address, &record)?;
                }
                refer(tx, &record.file, record.bytes)?;
                tx.put(&MEDIA, &address.key(), &Json(record.clone()));
                Ok(())
            })
        })
    }

    fn count_upload(
        &self,
        tx: &mut Transaction<'_>,
        user: ShortUserId,
        address: &MediaAddress,
        record: &MediaRecord,
    ) -> Result<(), MediaError> {
        let (files, bytes) = tx.get(&MEDIA_USAGE, &user)?.unwrap_or_default();
        let bytes = bytes.saturating_add(record.bytes);
        if self.settings.user_quota_bytes.is_some_and(|quota| bytes > quota) {
            return Err(MediaError::QuotaExceeded);
        }
        tx.put(&MEDIA_USAGE, &user, &(files.saturating_add(1), bytes));
        tx.put(&MEDIA_OF_USER, &(user, record.created_ms, address.media_id.clone()), &record.bytes);
        Ok(())
    }

    /// Forgets media ids whose upload has not come in time. Blocks.
    pub(super) fn forget_expired_uploads(&self) -> Result<usize, StorageError> {
        let now_ms = self.clock.now_ms();
        self.storage.write(|tx| {
            let rows = tx.scan(&PENDING_UPLOADS, &PENDING_UPLOADS.all(), Direction::Forward);
            let rows = rows.collect::<Result<Vec<_>, _>>()?;
            let gone = rows.into_iter().filter(|(_, (_, expires_ms))| *expires_ms <= now_ms);
            Ok(gone.map(|(media_id, (user, _))| forget_pending(tx, user, &media_id)).count())
        })
    }
}

fn check_pending(
    store: &MediaStore,
    rows: &impl Read,
    user: ShortUserId,
    address: &MediaAddress,
) -> Result<(), MediaError> {
    if address.server_name != store.server_name {
        return Err(MediaError::NotFound);
    }
    if rows.contains(&MEDIA, &address.key())? {
        return Err(MediaError::CannotOverwrite);
    }
    match rows.get(&PENDING_UPLOADS, &address.media_id)? {
        Some((_, expires_ms)) if expires_ms <= store.clock.now_ms() => Err(MediaError::NotFound),
        Some((owner, _)) if owner != user => Err(MediaError::NotYours),
        Some(_) => Ok(()),
        None => Err(MediaError::NotFound),
    }
}

fn forget_pending(tx: &mut Transaction<'_>, user: ShortUserId, media_id: &str) {
    tx.delete(&PENDING_UPLOADS, &media_id.to_owned());
    tx.delete(&PENDING_UPLOADS_OF_USER, &(user, media_id.to_owned()));
}
