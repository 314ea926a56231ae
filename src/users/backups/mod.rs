//! Key backups (client-server API, "Server-side key backups"): room keys, encrypted by clients, that new devices of
//! the user restore.
//!
//! A user has numbered versions; keys are written to the newest only. Of two keys for one session the better one
//! stays. What is deleted is gone at once for clients; its rows go in steps, as there may be hundreds of thousands.
//! Main type: [`KeyBackups`].

mod better_key;
mod keys;
#[cfg(test)]
mod tests;

use ruma::OwnedRoomId;
use serde_json::value::RawValue;

use super::{UserError, limits};
use crate::storage::{
    Direction, Json, Read, ShortUserId, Storage, StorageError, Transaction, records::BackupRecord,
    tables::BACKUP_VERSIONS,
};

/// A key with its room and session.
#[derive(Debug, Clone)]
pub struct BackedUpKey {
    /// The room.
    pub room_id: OwnedRoomId,
    /// The session.
    pub session_id: String,
    /// What the client says of it, and the encrypted key: an object.
    pub data: Box<RawValue>,
}

/// Which keys of a backup are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyScope {
    /// All.
    All,
    /// Those of a room.
    Room(OwnedRoomId),
    /// One.
    Session(OwnedRoomId, String),
}

/// Where a backup stands after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupState {
    /// Differs from before if any key changed.
    pub etag: u64,
    /// How many keys there are.
    pub count: u64,
}

impl From<&BackupRecord> for BackupState {
    fn from(record: &BackupRecord) -> Self {
        Self { etag: record.etag, count: record.count }
    }
}

/// The service; cheap to clone.
#[derive(Debug, Clone)]
pub struct KeyBackups {
    storage: Storage,
}

impl KeyBackups {
    /// The service.
    pub fn new(storage: Storage) -> Self {
        Self { storage }
    }

    /// Begins a new version, which is the one to write to from now on; answers its number.
    pub fn create(&self, user: ShortUserId, algorithm: &str, auth_data: &RawValue) -> Result<u64, UserError> {
        check_auth_data(algorithm, auth_data)?;
        let record = BackupRecord {
            algorithm: algorithm.to_owned(),
            auth_data: auth_data.to_owned(),
            etag: 0,
            count: 0,
            is_deleted: false,
        };
        let version = self.storage.write(|tx| {
            let rows = tx.scan(&BACKUP_VERSIONS, &BACKUP_VERSIONS.prefix(&(user,)), Direction::Backward);
            let mut kept = 0;
            let mut newest = 0;
            for row in rows {
                let ((_, version), Json(record)) = row?;
                newest = newest.max(version);
                kept += usize::from(!record.is_deleted);
            }
            if kept >= limits::BACKUP_VERSIONS_MAX {
                let max = format!("{} key backups", limits::BACKUP_VERSIONS_MAX);
                return Err(UserError::TooLarge { what: "A user", max });
            }
            tx.put(&BACKUP_VERSIONS, &(user, newest + 1), &Json(record));
            Ok(newest + 1)
        })?;
        // What a crash left of a deletion.
        if version > 1 && self.is_deleted(user, version - 1)? {
            self.clear(user, version - 1)?;
        }
        Ok(version)
    }

    /// The newest version that is not deleted.
    pub fn latest(&self, user: ShortUserId) -> Result<(u64, BackupRecord), UserError> {
        latest(&self.storage, user)?.ok_or(UserError::NoBackup)
    }

    /// One version.
    pub fn get(&self, user: ShortUserId, version: u64) -> Result<BackupRecord, UserError> {
        get(&self.storage, user, version)
    }

    /// Changes what is said of a version; its algorithm stays.
    pub fn update(
        &self,
        user: ShortUserId,
        version: u64,
        algorithm: &str,
        auth_data: &RawValue,
    ) -> Result<(), UserError> {
        check_auth_data(algorithm, auth_data)?;
        self.storage.write(|tx| {
            let mut record = get(tx, user, version)?;
            if record.algorithm != algorithm {
                return Err(UserError::OtherBackup("the algorithm of a backup can't be changed"));
            }
            record.auth_data = auth_data.to_owned();
            tx.put(&BACKUP_VERSIONS, &(user, version), &Json(record));
            Ok(())
        })
    }

    /// Deletes a version with its keys. Deleting it again does nothing.
    pub fn delete(&self, user: ShortUserId, version: u64) -> Result<(), UserError> {
        self.storage.write(|tx| {
            let Some(Json(mut record)) = tx.get(&BACKUP_VERSIONS, &(user, version))? else {
                return Err(UserError::NoBackup);
            };
            record.is_deleted = true;
            tx.put(&BACKUP_VERSIONS, &(user, version), &Json(record));
            Ok(())
        })?;
        self.clear(user, version)
    }

    fn is_deleted(&self, user: ShortUserId, version: u64) -> Result<bool, StorageError> {
        let row = self.storage.get(&BACKUP_VERSIONS, &(user, version))?;
        Ok(row.is_some_and(|Json(record)| record.is_deleted))
    }
}

fn latest(reader: &impl Read, user: ShortUserId) -> Result<Option<(u64, BackupRecord)>, StorageError> {
    let rows = reader.scan(&BACKUP_VERSIONS, &BACKUP_VERSIONS.prefix(&(user,)), Direction::Backward);
    for row in rows {
        let ((_, version), Json(record)) = row?;
        if !record.is_deleted {
            return Ok(Some((version, record)));
        }
    }
    Ok(None)
}

fn get(reader: &impl Read, user: ShortUserId, version: u64) -> Result<BackupRecord, UserError> {
    let row = reader.get(&BACKUP_VERSIONS, &(user, version))?;
    row.map(|Json(record)| record).filter(|record| !record.is_deleted).ok_or(UserError::NoBackup)
}

/// The version that a request writes to, which must be the newest.
fn writable(tx: &Transaction<'_>, user: ShortUserId, version: u64) -> Result<BackupRecord, UserError> {
    match latest(tx, user)? {
        None => Err(UserError::NoBackup),
        Some((current, record)) if current == version => Ok(record),
        Some((current, _)) => Err(UserError::WrongBackupVersion(current)),
    }
}

fn check_auth_data(algorithm: &str, auth_data: &RawValue) -> Result<(), UserError> {
    if algorithm.len() + auth_data.get().len() > limits::BACKUP_AUTH_DATA_BYTES_MAX {
        let max = format!("{} bytes", limits::BACKUP_AUTH_DATA_BYTES_MAX);
        return Err(UserError::TooLarge { what: "A backup's auth_data", max });
    }
    if auth_data.get().starts_with('{') {
        Ok(())
    } else {
        Err(UserError::BadKeys("a backup's auth_data must be an object".to_owned()))
    }
}
