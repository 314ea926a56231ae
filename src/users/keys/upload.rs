//! `POST /keys/upload`: a device's identity keys, one-time keys and fallback keys.

use std::collections::{BTreeMap, HashMap};

use ruma::{DeviceId, OwnedDeviceId, UserId, encryption::DeviceKeys};
use serde_json::{Map, Value, value::RawValue};

use super::{
    EncryptionKeys, given,
    publish::{self, DeviceChange},
    removal,
};
use crate::{
    storage::{
        Direction, Json, Read, ShortUserId, Transaction,
        records::{FallbackKey, KeyStock},
        tables,
    },
    users::{UserError, limits},
};

/// A one-time or fallback key.
#[derive(Debug, Clone)]
pub struct NamedKey {
    /// The algorithm, such as `signed_curve25519`.
    pub algorithm: String,
    /// The id, without the algorithm.
    pub key_id: String,
    /// The key as uploaded.
    pub key: Box<RawValue>,
}

impl NamedKey {
    /// A key by its name in the request, `algorithm:id`.
    pub fn new(name: &str, key: Box<RawValue>) -> Result<Self, UserError> {
        let (algorithm, key_id) = name
            .split_once(':')
            .ok_or_else(|| UserError::BadKeys(format!("{name} is not the name of a key")))?;
        Ok(Self { algorithm: algorithm.to_owned(), key_id: key_id.to_owned(), key })
    }
}

/// What a device uploads.
#[derive(Debug, Clone, Default)]
pub struct KeyUpload {
    /// Its identity keys, if they are new.
    pub device_keys: Option<Box<RawValue>>,
    /// One-time keys to add.
    pub one_time_keys: Vec<NamedKey>,
    /// Fallback keys, each in place of the last one of its algorithm.
    pub fallback_keys: Vec<NamedKey>,
}

impl EncryptionKeys {
    /// Takes a device's keys; answers how many one-time keys it now has by algorithm. What was uploaded before
    /// may be uploaded again, and comes back neither then nor after it was claimed; another key under an id that is in use is refused.
    pub fn upload(
        &self,
        user_id: &UserId,
        user: ShortUserId,
        device_id: &DeviceId,
        upload: &KeyUpload,
    ) -> Result<BTreeMap<String, u64>, UserError> {
        let changes_stock = !upload.one_time_keys.is_empty() || !upload.fallback_keys.is_empty();
        let upload = CheckedUpload::new(user_id, device_id, upload)?;
        let device = (user, device_id.to_owned());
        self.storage.write(|tx| {
            if !tx.contains(&tables::DEVICES, &device)? {
                return Err(UserError::UnknownDevice(device_id.to_owned()));
            }
            if changes_stock {
                self.stock_changed(tx, user_id, device.clone());
            }
            upload.write(tx, &device)
        })
    }
}

/// An upload that a device may make.
pub(in crate::users) struct CheckedUpload<'a> {
    device_keys: Option<Vec<u8>>,
    stock: &'a KeyUpload,
}

impl<'a> CheckedUpload<'a> {
    /// Refuses keys of other devices and what is no key.
    pub(in crate::users) fn new(
        user_id: &UserId,
        device_id: &DeviceId,
        upload: &'a KeyUpload,
    ) -> Result<Self, UserError> {
        let device_keys = match &upload.device_keys {
            Some(keys) => Some(checked_device_keys(user_id, device_id, keys)?),
            None => None,
        };
        check_keys(&upload.one_time_keys)?;
        check_keys(&upload.fallback_keys)?;
        Ok(Self { device_keys, stock: upload })
    }

    /// Writes the keys of a device that exists; answers how many one-time keys it now has by algorithm.
    pub(in crate::users) fn write(
        &self,
        tx: &mut Transaction<'_>,
        device: &(ShortUserId, OwnedDeviceId),
    ) -> Result<BTreeMap<String, u64>, UserError> {
        if let Some(keys) = &self.device_keys {
            put_device_keys(tx, device, keys)?;
        }
        put_stock(tx, device, &self.stock.one_time_keys, &self.stock.fallback_keys)
    }
}

/// Writes one-time and fallback keys; answers the counts.
pub(super) fn put_stock(
    tx: &mut Transaction<'_>,
    device: &(ShortUserId, OwnedDeviceId),
    one_time_keys: &[NamedKey],
    fallback_keys: &[NamedKey],
) -> Result<BTreeMap<String, u64>, UserError> {
    let Json(mut stock) = tx.get(&tables::KEY_STOCKS, device)?.unwrap_or(Json(KeyStock::default()));
    if one_time_keys.is_empty() && fallback_keys.is_empty() {
        return Ok(stock.one_time_keys);
    }
    let mut by_algorithm = BTreeMap::<&str, Vec<&NamedKey>>::new();
    for key in one_time_keys {
        by_algorithm.entry(&key.algorithm).or_default().push(key);
    }
    for (algorithm, keys) in by_algorithm {
        let count = put_one_time_keys(tx, device, algorithm, &keys)?;
        stock.one_time_keys.insert(algorithm.to_owned(), count);
    }
    if stock.one_time_keys.len() > limits::KEY_ALGORITHMS_MAX {
        return Err(too_many("key algorithms", limits::KEY_ALGORITHMS_MAX));
    }
    for key in fallback_keys {
        put_fallback_key(&mut stock, key)?;
    }
    tx.put(&tables::KEY_STOCKS, device, &Json(stock.clone()));
    Ok(stock.one_time_keys)
}

/// Adds one-time keys of one algorithm behind those that are there; answers how many there are then.
fn put_one_time_keys(
    tx: &mut Transaction<'_>,
    (user, device_id): &(ShortUserId, OwnedDeviceId),
    algorithm: &str,
    keys: &[&NamedKey],
) -> Result<u64, UserError> {
    let table = &tables::ONE_TIME_KEYS;
    let range = table.prefix(&(*user, device_id.clone(), algorithm.to_owned()));
    let mut known = HashMap::new();
    let mut order = 0;
    for row in tx.scan(table, &range, Direction::Forward) {
        let ((_, _, _, at, key_id), key) = row?;
        order = at;
        known.insert(key_id, key);
    }
    // After the newest that is left: older ones have all been claimed.
    order += 1;
    let given_out = given::of_device(tx, &(*user, device_id.clone()))?;
    for key in keys {
        match known.get(&key.key_id) {
            Some(before) if !same_json(before, key.key.get().as_bytes()) => {
                return Err(UserError::OneTimeKeyExists(format!("{algorithm}:{}", key.key_id)));
            }
            Some(_) => {}
            None if given_out.contains(&given::hash(algorithm, &key.key_id, key.key.get().as_bytes())) => {}
            None => {
                let text = key.key.get().as_bytes().to_vec();
                let at = (*user, device_id.clone(), algorithm.to_owned(), order, key.key_id.clone());
                tx.put(table, &at, &text);
                known.insert(key.key_id.clone(), text);
            }
        }
    }
    if known.len() > limits::ONE_TIME_KEYS_PER_DEVICE_MAX {
        return Err(too_many("one-time keys", limits::ONE_TIME_KEYS_PER_DEVICE_MAX));
    }
    Ok(known.len() as u64)
}

fn put_fallback_key(stock: &mut KeyStock, key: &NamedKey) -> Result<(), UserError> {
    let before = stock.fallback_keys.get(&key.algorithm);
    // The same key again is no new one: it may have been given out.
    let used = before.is_some_and(|before| {
        before.used
            && before.key_id == key.key_id
            && same_json(before.key.get().as_bytes(), key.key.get().as_bytes())
    });
    let fallback = FallbackKey { key_id: key.key_id.clone(), key: key.key.clone(), used };
    stock.fallback_keys.insert(key.algorithm.clone(), fallback);
    if stock.fallback_keys.len() > limits::KEY_ALGORITHMS_MAX {
        return Err(too_many("fallback keys", limits::KEY_ALGORITHMS_MAX));
    }
    Ok(())
}

/// Writes identity keys, if they are not there already.
pub(super) fn put_device_keys(
    tx: &mut Transaction<'_>,
    device: &(ShortUserId, OwnedDeviceId),
    keys: &Vec<u8>,
) -> Result<(), UserError> {
    let before = tx.get(&tables::DEVICE_KEYS, device)?;
    if before.as_ref() == Some(keys) {
        return Ok(());
    }
    if before.is_some() {
        // They were signatures on other keys.
        removal::delete_signatures_on(tx, device.0, device.1.as_str())?;
    }
    tx.put(&tables::DEVICE_KEYS, device, keys);
    publish::device_changed(tx, device.0, &device.1, DeviceChange::Is { keys: Some(keys) })?;
    Ok(())
}

/// Identity keys in the form they are kept in: an object without `unsigned`.
pub(super) fn checked_device_keys(
    user_id: &UserId,
    device_id: &DeviceId,
    keys: &RawValue,
) -> Result<Vec<u8>, UserError> {
    let bad = |why: String| UserError::BadKeys(why);
    if keys.get().len() > limits::DEVICE_KEYS_BYTES_MAX {
        return Err(UserError::TooLarge {
            what: "A device's identity keys",
            max: format!("{} bytes", limits::DEVICE_KEYS_BYTES_MAX),
        });
    }
    let parsed: DeviceKeys = serde_json::from_str(keys.get())
        .map_err(|e| bad(format!("these are not the identity keys of a device: {e}")))?;
    if parsed.user_id != user_id || parsed.device_id != device_id {
        return Err(UserError::KeysOfAnother);
    }
    let mut object: Map<String, Value> =
        serde_json::from_str(keys.get()).map_err(|e| bad(format!("the keys are no object: {e}")))?;
    object.remove("unsigned");
    serde_json::to_vec(&object).map_err(|e| bad(e.to_string()))
}

fn check_keys(keys: &[NamedKey]) -> Result<(), UserError> {
    for key in keys {
        if key.algorithm.is_empty() || key.key_id.is_empty() {
            return Err(UserError::BadKeys("a key's name has the form <algorithm>:<id>".to_owned()));
        }
        let name_bytes = key.algorithm.len() + key.key_id.len();
        if name_bytes > limits::KEY_NAME_BYTES_MAX || key.key.get().len() > limits::KEY_BYTES_MAX {
            let max = format!("{} bytes, its name {}", limits::KEY_BYTES_MAX, limits::KEY_NAME_BYTES_MAX);
            return Err(UserError::TooLarge { what: "A key", max });
        }
    }
    Ok(())
}

fn too_many(what: &'static str, max: usize) -> UserError {
    UserError::TooLarge { what: "A device", max: format!("{max} {what}") }
}

fn same_json(one: &[u8], other: &[u8]) -> bool {
    let parse = |text| serde_json::from_slice::<Value>(text).ok();
    one == other || parse(one).is_some_and(|one| Some(one) == parse(other))
}
