//! The keys of a backup: adding, reading, removing.

use ruma::{OwnedRoomId, RoomId};
use serde_json::value::RawValue;

use super::{BackedUpKey, BackupState, KeyBackups, KeyScope, better_key::KeyQuality, get, limits, writable};
use crate::{
    storage::{
        Direction, Json, KeyRange, Read, ShortUserId, StorageError, Transaction,
        tables::{BACKED_UP_KEYS, BACKUP_VERSIONS},
    },
    users::UserError,
};

type KeyPlace = (ShortUserId, u64, OwnedRoomId, String);

impl KeyBackups {
    /// Adds keys to the newest version, which `version` must be. A key for a session that has one takes its place
    /// only if it is better.
    pub fn add(
        &self,
        user: ShortUserId,
        version: u64,
        keys: &[BackedUpKey],
    ) -> Result<BackupState, UserError> {
        let mut checked = Vec::with_capacity(keys.len());
        for key in keys {
            checked.push((key, check(key)?));
        }
        self.storage.write(|tx| {
            let mut record = writable(tx, user, version)?;
            let mut changed = false;
            for (key, quality) in checked {
                let place = (user, version, key.room_id.clone(), key.session_id.clone());
                let before = tx.get(&BACKED_UP_KEYS, &place)?;
                if before
                    .as_deref()
                    .and_then(quality_of)
                    .is_some_and(|before| !quality.is_better_than(before))
                {
                    continue;
                }
                record.count += u64::from(before.is_none());
                changed = true;
                tx.put(&BACKED_UP_KEYS, &place, &key.data.get().as_bytes().to_vec());
            }
            if record.count > limits::BACKED_UP_KEYS_MAX {
                let max = format!("{} keys", limits::BACKED_UP_KEYS_MAX);
                return Err(UserError::TooLarge { what: "A key backup", max });
            }
            if changed {
                record.etag += 1;
                tx.put(&BACKUP_VERSIONS, &(user, version), &Json(record.clone()));
            }
            Ok(BackupState::from(&record))
        })
    }

    /// One key.
    pub fn session(
        &self,
        user: ShortUserId,
        version: u64,
        room_id: &RoomId,
        session_id: &str,
    ) -> Result<Box<RawValue>, UserError> {
        get(&self.storage, user, version)?;
        let place = (user, version, room_id.to_owned(), session_id.to_owned());
        let data = self.storage.get(&BACKED_UP_KEYS, &place)?.ok_or(UserError::NoBackedUpKey)?;
        parse(&data).ok_or(UserError::NoBackedUpKey)
    }

    /// Up to `limit` keys, of all rooms or one, in the order of rooms and sessions, after the one named.
    pub fn page(
        &self,
        user: ShortUserId,
        version: u64,
        room_id: Option<&RoomId>,
        after: Option<&BackedUpKey>,
        limit: usize,
    ) -> Result<Vec<BackedUpKey>, UserError> {
        get(&self.storage, user, version)?;
        let range = match (room_id, after) {
            (None, None) => BACKED_UP_KEYS.prefix(&(user, version)),
            (Some(room_id), None) => BACKED_UP_KEYS.prefix(&(user, version, room_id.to_owned())),
            (None, Some(after)) => {
                BACKED_UP_KEYS.prefix_from(&(user, version), &just_after(user, version, after))
            }
            (Some(room_id), Some(after)) => BACKED_UP_KEYS
                .prefix_from(&(user, version, room_id.to_owned()), &just_after(user, version, after)),
        };
        let mut keys = Vec::new();
        for row in self.storage.scan(&BACKED_UP_KEYS, &range, Direction::Forward).take(limit) {
            let ((_, _, room_id, session_id), data) = row?;
            keys.extend(parse(&data).map(|data| BackedUpKey { room_id, session_id, data }));
        }
        Ok(keys)
    }

    /// Removes keys from a version.
    pub fn remove(
        &self,
        user: ShortUserId,
        version: u64,
        scope: &KeyScope,
    ) -> Result<BackupState, UserError> {
        let range = match scope {
            KeyScope::All => BACKED_UP_KEYS.prefix(&(user, version)),
            KeyScope::Room(room_id) => BACKED_UP_KEYS.prefix(&(user, version, room_id.clone())),
            KeyScope::Session(room_id, session_id) => {
                let place = (user, version, room_id.clone(), session_id.clone());
                let end = (user, version, room_id.clone(), format!("{session_id}\0"));
                BACKED_UP_KEYS.between(&place, &end)
            }
        };
        loop {
            let (state, removed) = self.storage.write(|tx| {
                let mut record = get(tx, user, version)?;
                let removed = remove_some(tx, &range)?;
                if removed > 0 {
                    record.count = record.count.saturating_sub(removed as u64);
                    record.etag += 1;
                    tx.put(&BACKUP_VERSIONS, &(user, version), &Json(record.clone()));
                }
                Ok::<_, UserError>((BackupState::from(&record), removed))
            })?;
            if removed < limits::BACKUP_ROWS_AT_ONCE {
                return Ok(state);
            }
        }
    }

    /// Removes what is left of a version that was deleted.
    pub(super) fn clear(&self, user: ShortUserId, version: u64) -> Result<(), UserError> {
        let range = BACKED_UP_KEYS.prefix(&(user, version));
        while self.storage.write(|tx| remove_some(tx, &range))? == limits::BACKUP_ROWS_AT_ONCE {}
        Ok(())
    }
}

fn remove_some(tx: &mut Transaction<'_>, range: &KeyRange) -> Result<usize, StorageError> {
    let rows = tx.scan(&BACKED_UP_KEYS, range, Direction::Forward).take(limits::BACKUP_ROWS_AT_ONCE);
    let places = rows.map(|row| row.map(|(place, _)| place)).collect::<Result<Vec<KeyPlace>, _>>()?;
    for place in &places {
        tx.delete(&BACKED_UP_KEYS, place);
    }
    Ok(places.len())
}

/// The smallest place after a key's.
fn just_after(user: ShortUserId, version: u64, key: &BackedUpKey) -> KeyPlace {
    (user, version, key.room_id.clone(), format!("{}\0", key.session_id))
}

fn check(key: &BackedUpKey) -> Result<KeyQuality, UserError> {
    let bytes = key.session_id.len() + key.data.get().len();
    if bytes > limits::BACKED_UP_KEY_BYTES_MAX {
        let max = format!("{} bytes", limits::BACKED_UP_KEY_BYTES_MAX);
        return Err(UserError::TooLarge { what: "A backed-up key", max });
    }
    KeyQuality::of(&key.data).ok_or_else(|| UserError::BadKeys("this is no backed-up key".to_owned()))
}

fn quality_of(data: &[u8]) -> Option<KeyQuality> {
    KeyQuality::of(&parse(data)?)
}

fn parse(data: &[u8]) -> Option<Box<RawValue>> {
    serde_json::from_slice(data)
        .inspect_err(|e| tracing::error!("a corrupt backed-up key is skipped: {e}"))
        .ok()
}
