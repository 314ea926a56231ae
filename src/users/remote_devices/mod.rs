//! The devices of other servers' users: what their servers told, for as long as they tell changes.
//!
//! A server tells changes of a user's devices to those that share a room with the user. So a list is good while a
//! room has been shared without a gap since it was asked for, and while each update names the one before it
//! (server-server API, "Device Management"). Otherwise it is asked for again when somebody wants it: an update that
//! does not fit marks the list, and the clients that share a room with the user are told to look. Nothing here
//! talks to another server. Main type: [`RemoteDevices`].

#[cfg(test)]
mod tests;
mod updates;

use std::collections::BTreeMap;

use ruma::{OwnedDeviceId, OwnedServerName, UserId, encryption::DeviceKeys};
use serde_json::{Map, Value, json, value::RawValue};

use super::{UserError, keys::KeyKind, keys::device_list, limits};
use crate::storage::{
    Direction, Json, Read, ShortUserId, Storage, StorageError, StreamPosition, Transaction,
    records::{Membership, RemoteDevice, RemoteDeviceList},
    tables::{CROSS_SIGNING_KEYS, MEMBERSHIPS, REMOTE_DEVICE_LISTS, ROOM_SERVERS},
};

/// A remote user's keys as clients get them.
#[derive(Debug, Clone, Default)]
pub struct RemoteUserKeys {
    /// Identity keys by device.
    pub devices: BTreeMap<OwnedDeviceId, Box<RawValue>>,
    /// The master key.
    pub master: Option<Box<RawValue>>,
    /// The self-signing key.
    pub self_signing: Option<Box<RawValue>>,
}

/// What a server answered about a user.
#[derive(Debug, Clone, Default)]
pub struct FetchedDevices {
    /// The update that it includes, if the server said.
    pub stream_id: Option<u64>,
    /// Keys and names by device.
    pub devices: BTreeMap<OwnedDeviceId, (Box<RawValue>, Option<String>)>,
    /// The master key.
    pub master: Option<Box<RawValue>>,
    /// The self-signing key.
    pub self_signing: Option<Box<RawValue>>,
}

/// How things stood before a server was asked.
#[derive(Debug, Clone, Copy)]
pub struct FetchTicket {
    position: StreamPosition,
    generation: u64,
    /// Whether a room is shared with the user: only then is the answer kept.
    pub is_shared: bool,
}

/// The service; cheap to clone.
#[derive(Debug, Clone)]
pub struct RemoteDevices {
    storage: Storage,
    server_name: OwnedServerName,
}

impl RemoteDevices {
    /// The service of server `server_name`.
    pub fn new(storage: Storage, server_name: OwnedServerName) -> Self {
        Self { storage, server_name }
    }

    /// A user's keys, if what is known of them is good; otherwise what to come back with after asking.
    pub fn cached(&self, user_id: &UserId) -> Result<Result<RemoteUserKeys, FetchTicket>, StorageError> {
        let position = self.storage.position();
        let Some(user) = self.storage.short_user_id(user_id)? else {
            return Ok(Err(FetchTicket { position, generation: 0, is_shared: false }));
        };
        let list = self.storage.get(&REMOTE_DEVICE_LISTS, &user)?.map(|Json(list)| list).unwrap_or_default();
        let is_known = list.cached_at > StreamPosition(0) && !list.is_stale;
        if is_known && shared_since(&self.storage, &self.server_name, user, list.cached_at)? {
            return Ok(Ok(self.shown(user, &list)?));
        }
        let is_shared = shared_since(&self.storage, &self.server_name, user, position)?;
        Ok(Err(FetchTicket { position, generation: list.generation, is_shared }))
    }

    /// Keeps what a server answered, if a room is shared with the user; answers it as clients get it. Devices whose
    /// keys are not the user's and the device's own are left out.
    pub fn fetched(
        &self,
        user_id: &UserId,
        fetched: FetchedDevices,
        ticket: FetchTicket,
    ) -> Result<RemoteUserKeys, UserError> {
        let devices =
            fetched.devices.into_iter().take(limits::DEVICES_SHOWN_MAX).filter_map(|(id, (keys, name))| {
                checked(user_id, &id, &keys, name).map(|device| (id, device))
            });
        let devices = within_bounds(user_id, devices);
        self.storage
            .write(|tx| {
                let user = tx.intern_user(user_id)?;
                let before = tx.get(&REMOTE_DEVICE_LISTS, &user)?.map(|Json(list)| list).unwrap_or_default();
                let list = RemoteDeviceList {
                    cached_at: ticket.position.max(StreamPosition(1)),
                    stream_id: fetched.stream_id,
                    // An update came while the server was answering, and may not be in the answer.
                    is_stale: before.generation != ticket.generation,
                    generation: before.generation,
                    devices,
                };
                put_cross_signing(tx, user, user_id, KeyKind::Master, fetched.master.as_deref())?;
                put_cross_signing(tx, user, user_id, KeyKind::SelfSigning, fetched.self_signing.as_deref())?;
                if ticket.is_shared {
                    tx.put(&REMOTE_DEVICE_LISTS, &user, &Json(list.clone()));
                }
                Ok::<_, UserError>((user, list))
            })
            .and_then(|(user, list)| Ok(self.shown(user, &list)?))
    }

    fn shown(&self, user: ShortUserId, list: &RemoteDeviceList) -> Result<RemoteUserKeys, StorageError> {
        let cross_signing = |kind: KeyKind| -> Result<Option<Box<RawValue>>, StorageError> {
            let text = self.storage.get(&CROSS_SIGNING_KEYS, &(user, kind as u8))?;
            Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
        };
        let named = |device: &RemoteDevice| match &device.display_name {
            None => Some(device.keys.clone()),
            Some(name) => {
                let mut object: Map<String, Value> = serde_json::from_str(device.keys.get()).ok()?;
                object.insert("unsigned".to_owned(), json!({ "device_display_name": name }));
                serde_json::value::to_raw_value(&object).ok()
            }
        };
        let devices = list.devices.iter().filter_map(|(id, device)| Some((id.clone(), named(device)?)));
        Ok(RemoteUserKeys {
            devices: devices.collect(),
            master: cross_signing(KeyKind::Master)?,
            self_signing: cross_signing(KeyKind::SelfSigning)?,
        })
    }
}

/// Whether this server has shared one room with the user all the time since a position.
fn shared_since(
    reader: &impl Read,
    server_name: &ruma::ServerName,
    user: ShortUserId,
    since: StreamPosition,
) -> Result<bool, StorageError> {
    let Some(own) = reader.short_server_id(server_name)? else { return Ok(false) };
    for row in reader.scan(&MEMBERSHIPS, &MEMBERSHIPS.prefix(&(user,)), Direction::Forward) {
        let ((_, room), row) = row?;
        if row.membership != Membership::Join || row.position > since {
            continue;
        }
        let servers = reader.get(&ROOM_SERVERS, &(room, own))?;
        if servers.is_some_and(|(_, came)| came <= since) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// As many devices as are kept of one user.
fn within_bounds(
    user_id: &UserId,
    devices: impl Iterator<Item = (OwnedDeviceId, RemoteDevice)>,
) -> BTreeMap<OwnedDeviceId, RemoteDevice> {
    let (mut kept, mut bytes, mut left_out) = (BTreeMap::new(), 0, 0);
    for (id, device) in devices {
        bytes += bytes_of(&id, &device);
        if bytes > limits::REMOTE_DEVICES_BYTES_MAX {
            left_out += 1;
            continue;
        }
        kept.insert(id, device);
    }
    if left_out > 0 {
        tracing::warn!(%user_id, left_out, "a user of another server has more devices than are kept");
    }
    kept
}

fn bytes_of(id: &OwnedDeviceId, device: &RemoteDevice) -> usize {
    id.as_str().len() + device.keys.get().len() + device.display_name.as_ref().map_or(0, String::len)
}

/// A device's keys in the form they are kept in, if they are the device's own.
fn checked(
    user_id: &UserId,
    device_id: &ruma::DeviceId,
    keys: &RawValue,
    display_name: Option<String>,
) -> Option<RemoteDevice> {
    if keys.get().len() > limits::DEVICE_KEYS_BYTES_MAX
        || device_id.as_str().len() > limits::DEVICE_ID_BYTES_MAX
    {
        return None;
    }
    let parsed: DeviceKeys = serde_json::from_str(keys.get()).ok()?;
    if parsed.user_id != user_id || parsed.device_id != device_id {
        return None;
    }
    let mut object: Map<String, Value> = serde_json::from_str(keys.get()).ok()?;
    object.remove("unsigned");
    let display_name = display_name.or(parsed.unsigned.device_display_name);
    let display_name =
        display_name.map(|name| super::sessions::cut(name, limits::DEVICE_DISPLAY_NAME_BYTES_MAX));
    Some(RemoteDevice { keys: serde_json::value::to_raw_value(&object).ok()?, display_name })
}

/// Writes or removes a remote user's cross-signing key; one that is no key of the user's is left out.
fn put_cross_signing(
    tx: &mut Transaction<'_>,
    user: ShortUserId,
    user_id: &UserId,
    kind: KeyKind,
    key: Option<&RawValue>,
) -> Result<(), StorageError> {
    let place = (user, kind as u8);
    let text = key.and_then(|key| super::keys::checked_cross_signing_key(user_id, kind, key));
    match text {
        Some(text) => tx.put(&CROSS_SIGNING_KEYS, &place, &text),
        None => tx.delete(&CROSS_SIGNING_KEYS, &place),
    }
    Ok(())
}
