//! Removing media, quarantine, and who uses how much: for administrators and the clean-up.

use super::{MediaAddress, MediaError, MediaStore, limits, store::release};
use crate::storage::{
    Direction, Json, Read, ShortUserId, StorageError, Transaction,
    records::{FileHash, MediaKind, MediaRecord},
    tables::{DOOMED_FILES, MEDIA, MEDIA_FILES, MEDIA_OF_USER, MEDIA_USAGE, REMOTE_MEDIA_USED, THUMBNAILS},
};

/// How much a user has uploaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// One piece of media, in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaEntry {
    /// Its address.
    pub address: MediaAddress,
    /// What is known of it.
    pub record: MediaRecord,
    /// When it was last asked for, in milliseconds since 1970, give or take a day; known of remote media only.
    pub last_used_ms: Option<u64>,
}

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// The addresses.
    pub addresses: Vec<MediaAddress>,
    /// The bytes that they had; equal files count each time.
    pub bytes: u64,
}

impl MediaStore {
    /// What is known of a piece of media, in quarantine or not. Blocks, as all of these.
    pub fn entry(&self, address: &MediaAddress) -> Result<Option<MediaEntry>, MediaError> {
        let Some(Json(record)) = self.storage.get(&MEDIA, &address.key())? else { return Ok(None) };
        let last_used_ms = self.storage.get(&REMOTE_MEDIA_USED, &address.key())?;
        Ok(Some(MediaEntry { address: address.clone(), record, last_used_ms }))
    }

    /// How much a user has uploaded.
    pub fn usage(&self, user: ShortUserId) -> Result<Usage, MediaError> {
        let (files, bytes) = self.storage.get(&MEDIA_USAGE, &user)?.unwrap_or_default();
        Ok(Usage { files, bytes })
    }

    /// Every user who has uploaded something, and how much.
    pub fn usage_of_all(&self) -> Result<Vec<(ShortUserId, Usage)>, MediaError> {
        let rows = self.storage.scan(&MEDIA_USAGE, &MEDIA_USAGE.all(), Direction::Forward);
        let rows = rows.map(|row| row.map(|(user, (files, bytes))| (user, Usage { files, bytes })));
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What a user has uploaded, newest first, leaving out the first `skip`; at most `count_max` and
    /// [`limits::USER_MEDIA_LISTED_MAX`].
    pub fn of_user(
        &self,
        user: ShortUserId,
        skip: usize,
        count_max: usize,
    ) -> Result<Vec<MediaEntry>, MediaError> {
        let range = MEDIA_OF_USER.prefix(&(user,));
        let rows = self.storage.scan(&MEDIA_OF_USER, &range, Direction::Backward);
        let mut found = Vec::new();
        for row in rows.skip(skip).take(count_max.min(limits::USER_MEDIA_LISTED_MAX)) {
            let ((_, _, media_id), _) = row?;
            let address = MediaAddress::new(self.server_name.clone(), media_id)?;
            found.extend(self.entry(&address)?);
        }
        Ok(found)
    }

    /// Everything that a user has uploaded, newest first: for administrators, who order it in other ways.
    pub fn all_of_user(&self, user: ShortUserId) -> Result<Vec<MediaEntry>, MediaError> {
        let mut all = Vec::new();
        loop {
            let part = self.of_user(user, all.len(), limits::USER_MEDIA_LISTED_MAX)?;
            if part.is_empty() {
                return Ok(all);
            }
            all.extend(part);
        }
    }

    /// Removes one piece of media. False when there is none.
    pub fn remove(&self, address: &MediaAddress) -> Result<bool, MediaError> {
        let removed = self.storage.write(|tx| remove_row(tx, address))?;
        self.remove_doomed_files()?;
        Ok(removed.is_some())
    }

    /// Removes what a user has uploaded, all of it, or the oldest or newest as [`MediaStore::of_user`] lists it.
    pub fn remove_of_user(&self, user: ShortUserId) -> Result<Removed, MediaError> {
        let mut removed = Removed::default();
        loop {
            let entries = self.of_user(user, 0, limits::REMOVED_AT_ONCE_MAX)?;
            if entries.is_empty() {
                return Ok(removed);
            }
            let addresses = entries.into_iter().map(|entry| entry.address).collect::<Vec<_>>();
            let before = removed.addresses.len();
            self.remove_all(&addresses, &mut removed)?;
            if removed.addresses.len() == before {
                return Ok(removed);
            }
        }
    }

    /// Removes local media that was uploaded before a time and has more than so many bytes, but none that is
    /// protected.
    pub fn remove_local_before(&self, before_ms: u64, bytes_min: u64) -> Result<Removed, MediaError> {
        let is_old = |record: &MediaRecord| {
            record.kind == MediaKind::Upload
                && record.created_ms < before_ms
                && record.bytes >= bytes_min
                && !record.is_protected
        };
        self.remove_where(|_, record| Ok(is_old(record)))
    }

    /// Removes media of other servers that was last asked for before a time, but none in quarantine: it would
    /// be fetched again.
    pub fn remove_remote_before(&self, before_ms: u64) -> Result<Removed, MediaError> {
        self.remove_where(|address, record| {
            if record.kind != MediaKind::Remote || record.quarantined_by.is_some() {
                return Ok(false);
            }
            let used_ms = self.storage.get(&REMOTE_MEDIA_USED, &address.key())?;
            Ok(used_ms.unwrap_or(record.created_ms) < before_ms)
        })
    }

    /// Removes images of previews that were fetched before a time.
    pub(super) fn remove_previews_before(&self, before_ms: u64) -> Result<Removed, MediaError> {
        self.remove_where(|_, record| Ok(record.kind == MediaKind::Preview && record.created_ms < before_ms))
    }

    /// Walks all media; costs what there is, so only clean-up and administrators do it.
    fn remove_where(
        &self,
        is_meant: impl Fn(&MediaAddress, &MediaRecord) -> Result<bool, StorageError>,
    ) -> Result<Removed, MediaError> {
        let (mut removed, mut found) = (Removed::default(), Vec::new());
        for row in self.storage.scan(&MEDIA, &MEDIA.all(), Direction::Forward) {
            let ((server_name, media_id), Json(record)) = row?;
            let address = MediaAddress { server_name, media_id };
            if is_meant(&address, &record)? {
                found.push(address);
            }
            if found.len() >= limits::REMOVED_AT_ONCE_MAX {
                self.remove_all(&std::mem::take(&mut found), &mut removed)?;
            }
        }
        self.remove_all(&found, &mut removed)?;
        Ok(removed)
    }

    fn remove_all(&self, addresses: &[MediaAddress], removed: &mut Removed) -> Result<(), MediaError> {
        if addresses.is_empty() {
            return Ok(());
        }
        self.storage.write(|tx| {
            for address in addresses {
                if let Some(record) = remove_row(tx, address)? {
                    removed.addresses.push(address.clone());
                    removed.bytes = removed.bytes.saturating_add(record.bytes);
                }
            }
            Ok::<_, StorageError>(())
        })?;
        self.remove_doomed_files()
    }

    /// Puts media into quarantine, in the name of an administrator, or takes it out with `None`. Protected
    /// media is left alone. False when there is none to change.
    pub fn quarantine(&self, address: &MediaAddress, by: Option<&str>) -> Result<bool, MediaError> {
        self.update(address, |record| {
            let leave_alone = record.is_protected && by.is_some();
            if !leave_alone {
                record.quarantined_by = by.map(str::to_owned);
            }
            !leave_alone
        })
    }

    /// Puts all that a user has uploaded into quarantine; how many files that changed.
    pub fn quarantine_of_user(&self, user: ShortUserId, by: &str) -> Result<usize, MediaError> {
        let range = MEDIA_OF_USER.prefix(&(user,));
        let mut count = 0;
        for row in self.storage.scan(&MEDIA_OF_USER, &range, Direction::Forward) {
            let ((_, _, media_id), _) = row?;
            let address = MediaAddress::new(self.server_name.clone(), media_id)?;
            count += usize::from(self.quarantine(&address, Some(by))?);
        }
        Ok(count)
    }

    /// Protects media from quarantine and from removal by age, or ends that. False when there is none.
    pub fn protect(&self, address: &MediaAddress, is_protected: bool) -> Result<bool, MediaError> {
        self.update(address, |record| {
            record.is_protected = is_protected;
            true
        })
    }

    fn update(
        &self,
        address: &MediaAddress,
        change: impl FnOnce(&mut MediaRecord) -> bool,
    ) -> Result<bool, MediaError> {
        self.storage.write(|tx| {
            let Some(Json(mut record)) = tx.get(&MEDIA, &address.key())? else { return Ok(false) };
            let changed = change(&mut record);
            tx.put(&MEDIA, &address.key(), &Json(record));
            Ok(changed)
        })
    }

    /// Removes from disk what no row refers to any more, once that is durable: after a power cut no row must
    /// refer to a file that is gone.
    pub(super) fn remove_doomed_files(&self) -> Result<(), MediaError> {
        self.storage.durable_blocking()?;
        let rows = self.storage.scan(&DOOMED_FILES, &DOOMED_FILES.all(), Direction::Forward);
        let doomed = rows.map(|row| row.map(|(file, ())| file)).collect::<Result<Vec<_>, _>>()?;
        for file in doomed {
            self.files.remove(&file, || self.is_unused(&file))?;
            self.storage.write(|tx| {
                tx.delete(&DOOMED_FILES, &file);
                Ok::<_, StorageError>(())
            })?;
        }
        Ok(())
    }

    /// True when no row refers to a file.
    pub(super) fn is_unused(&self, file: &FileHash) -> Result<bool, MediaError> {
        Ok(!self.storage.contains(&MEDIA_FILES, file)?)
    }
}

/// Deletes a piece of media with all rows of it; its file may then be doomed.
fn remove_row(tx: &mut Transaction<'_>, address: &MediaAddress) -> Result<Option<MediaRecord>, StorageError> {
    let key = address.key();
    let Some(Json(record)) = tx.get(&MEDIA, &key)? else { return Ok(None) };
    tx.delete(&MEDIA, &key);
    tx.delete(&REMOTE_MEDIA_USED, &key);
    if let Some(user) = record.uploader {
        tx.delete(&MEDIA_OF_USER, &(user, record.created_ms, address.media_id.clone()));
        let (files, bytes) = tx.get(&MEDIA_USAGE, &user)?.unwrap_or_default();
        let left = (files.saturating_sub(1), bytes.saturating_sub(record.bytes));
        tx.put(&MEDIA_USAGE, &user, &left);
    }
    if release(tx, &record.file)? {
        remove_thumbnails(tx, &record.file)?;
    }
    Ok(Some(record))
}

/// Deletes the thumbnails of a file that goes.
fn remove_thumbnails(tx: &mut Transaction<'_>, file: &FileHash) -> Result<(), StorageError> {
    let range = THUMBNAILS.prefix(&(*file,));
    let rows = tx.scan(&THUMBNAILS, &range, Direction::Forward).collect::<Result<Vec<_>, _>>()?;
    for (key, Json(thumbnail)) in rows {
        tx.delete(&THUMBNAILS, &key);
        release(tx, &thumbnail.file)?;
    }
    Ok(())
}
