//! `POST /keys/query`: identity and cross-signing keys, with the signatures that the one who asks may see.

use std::collections::BTreeMap;

use ruma::{DeviceId, OwnedDeviceId, UserId};
use serde_json::{Map, Value, json, value::RawValue};

use super::{EncryptionKeys, KeyKind};
use crate::{
    storage::{Direction, Json, Read, ShortUserId, StorageError, tables},
    users::limits,
};

/// Who asks, which decides what is shown.
#[derive(Debug, Clone, Copy)]
pub enum KeyQuery<'a> {
    /// A user of this server: sees their own signatures, and of themselves the user-signing key.
    User(&'a UserId),
    /// Another server: sees what everybody sees, but for the names of devices.
    Server,
}

/// A user's keys.
#[derive(Debug, Clone, Default)]
pub struct UserKeys {
    /// Identity keys by device.
    pub devices: BTreeMap<OwnedDeviceId, Box<RawValue>>,
    /// The master signing key.
    pub master: Option<Box<RawValue>>,
    /// The self-signing key.
    pub self_signing: Option<Box<RawValue>>,
    /// The user-signing key, for its owner.
    pub user_signing: Option<Box<RawValue>>,
}

impl EncryptionKeys {
    /// The keys of a local user, of all devices if `devices` is empty. A user without keys, or none at all, has
    /// no devices.
    pub fn query(
        &self,
        user_id: &UserId,
        devices: &[OwnedDeviceId],
        by: KeyQuery<'_>,
    ) -> Result<UserKeys, StorageError> {
        let Some(user) = self.storage.short_user_id(user_id)? else { return Ok(UserKeys::default()) };
        let viewer = match by {
            KeyQuery::User(viewer) if viewer != user_id => self.storage.short_user_id(viewer)?,
            _ => None,
        };
        let shown = Shown { reader: &self.storage, user_id, user, by, viewer };
        let mut found = UserKeys { devices: shown.devices(devices)?, ..UserKeys::default() };
        found.master = shown.cross_signing(KeyKind::Master)?;
        found.self_signing = shown.cross_signing(KeyKind::SelfSigning)?;
        if matches!(by, KeyQuery::User(viewer) if viewer == user_id) {
            found.user_signing = shown.cross_signing(KeyKind::UserSigning)?;
        }
        Ok(found)
    }

    /// What other servers see of a user, with the number of the newest update that it includes.
    pub fn published(&self, user_id: &UserId) -> Result<(u64, UserKeys), StorageError> {
        // The number first: an update that comes in between is told, and then told again.
        let update = match self.storage.short_user_id(user_id)? {
            Some(user) => self.storage.get(&tables::DEVICE_LIST_UPDATES, &user)?,
            None => None,
        };
        Ok((update.map_or(0, |position| position.0), self.query(user_id, &[], KeyQuery::Server)?))
    }

    /// A key that other servers' users have, as one of this server's sees it: with the signatures of the
    /// viewer's own.
    pub fn with_own_signatures(
        &self,
        key: Box<RawValue>,
        owner: &UserId,
        viewer: &UserId,
    ) -> Result<Box<RawValue>, StorageError> {
        let Some(user) = self.storage.short_user_id(owner)? else { return Ok(key) };
        let by = KeyQuery::User(viewer);
        let viewer = self.storage.short_user_id(viewer)?;
        let shown = Shown { reader: &self.storage, user_id: owner, user, by, viewer };
        let Ok(mut object) = serde_json::from_str::<Map<String, Value>>(key.get()) else { return Ok(key) };
        let Some(id) = public_part(&object) else { return Ok(key) };
        shown.add_signatures(&mut object, &id)?;
        Ok(raw(&object).unwrap_or(key))
    }
}

/// One user's keys as somebody sees them.
struct Shown<'a, R> {
    reader: &'a R,
    user_id: &'a UserId,
    user: ShortUserId,
    by: KeyQuery<'a>,
    /// Who asks, if it is another user of this server.
    viewer: Option<ShortUserId>,
}

impl<R: Read> Shown<'_, R> {
    fn devices(
        &self,
        wanted: &[OwnedDeviceId],
    ) -> Result<BTreeMap<OwnedDeviceId, Box<RawValue>>, StorageError> {
        let storage = self.reader;
        let mut shown = BTreeMap::new();
        if wanted.is_empty() {
            let range = tables::DEVICE_KEYS.prefix(&(self.user,));
            let rows = storage.scan(&tables::DEVICE_KEYS, &range, Direction::Forward);
            for row in rows.take(limits::DEVICES_SHOWN_MAX) {
                let ((_, device_id), keys) = row?;
                shown.extend(self.device(&device_id, &keys)?.map(|keys| (device_id, keys)));
            }
            return Ok(shown);
        }
        for device_id in wanted.iter().take(limits::DEVICES_SHOWN_MAX) {
            let keys = storage.get(&tables::DEVICE_KEYS, &(self.user, device_id.clone()))?;
            let Some(keys) = keys else { continue };
            shown.extend(self.device(device_id, &keys)?.map(|keys| (device_id.clone(), keys)));
        }
        Ok(shown)
    }

    fn device(&self, device_id: &DeviceId, keys: &[u8]) -> Result<Option<Box<RawValue>>, StorageError> {
        let Some(mut object) = parse(keys) else { return Ok(None) };
        self.add_signatures(&mut object, device_id.as_str())?;
        if matches!(self.by, KeyQuery::User(_)) {
            let record = self.reader.get(&tables::DEVICES, &(self.user, device_id.to_owned()))?;
            if let Some(name) = record.and_then(|Json(record)| record.display_name) {
                object.insert("unsigned".to_owned(), json!({ "device_display_name": name }));
            }
        }
        Ok(raw(&object))
    }

    fn cross_signing(&self, kind: KeyKind) -> Result<Option<Box<RawValue>>, StorageError> {
        let Some(text) = self.reader.get(&tables::CROSS_SIGNING_KEYS, &(self.user, kind as u8))? else {
            return Ok(None);
        };
        let Some(mut object) = parse(&text) else { return Ok(None) };
        if let Some(id) = public_part(&object) {
            self.add_signatures(&mut object, &id)?;
        }
        Ok(raw(&object))
    }

    /// Adds the signatures that were uploaded later by the keys' owner and by who asks.
    fn add_signatures(&self, object: &mut Map<String, Value>, key_id: &str) -> Result<(), StorageError> {
        let owner = (self.user, self.user_id);
        let viewer = match (self.viewer, self.by) {
            (Some(short), KeyQuery::User(viewer)) => Some((short, viewer)),
            _ => None,
        };
        for (signer, signer_id) in [Some(owner), viewer].into_iter().flatten() {
            let range = tables::KEY_SIGNATURES.prefix(&(self.user, key_id.to_owned(), signer));
            for row in self.reader.scan(&tables::KEY_SIGNATURES, &range, Direction::Forward) {
                let ((_, _, _, with), signature) = row?;
                let signatures = object.entry("signatures").or_insert_with(|| json!({}));
                let Some(signatures) = signatures.as_object_mut() else { break };
                let of_signer = signatures.entry(signer_id.as_str()).or_insert_with(|| json!({}));
                if let Some(of_signer) = of_signer.as_object_mut() {
                    of_signer.insert(with, signature.into());
                }
            }
        }
        Ok(())
    }
}

/// A device's keys as other servers see them.
pub(super) fn device_for_servers(
    reader: &impl Read,
    (user, user_id): (ShortUserId, &UserId),
    device_id: &DeviceId,
    keys: &[u8],
) -> Result<Option<Box<RawValue>>, StorageError> {
    Shown { reader, user_id, user, by: KeyQuery::Server, viewer: None }.device(device_id, keys)
}

/// A cross-signing key as other servers see it.
pub(super) fn cross_signing_for_servers(
    reader: &impl Read,
    (user, user_id): (ShortUserId, &UserId),
    kind: KeyKind,
) -> Result<Option<Box<RawValue>>, StorageError> {
    Shown { reader, user_id, user, by: KeyQuery::Server, viewer: None }.cross_signing(kind)
}

/// The public part of a cross-signing key, which stands for it where a device has its id.
pub(super) fn public_part(key: &Map<String, Value>) -> Option<String> {
    key.get("keys")?.as_object()?.values().next()?.as_str().map(str::to_owned)
}

pub(super) fn parse(text: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(text).inspect_err(|e| tracing::error!("a corrupt key is skipped: {e}")).ok()
}

fn raw(object: &Map<String, Value>) -> Option<Box<RawValue>> {
    serde_json::value::to_raw_value(object).ok()
}
