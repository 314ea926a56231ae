//! What other servers tell of their users' devices: `m.device_list_update` and `m.signing_key_update`.

use ruma::{
    OwnedDeviceId, ServerName, UserId,
    api::federation::transactions::edu::{DeviceListUpdateContent, SigningKeyUpdateContent},
};

use super::{
    KeyKind, RemoteDevices, bytes_of, checked, device_list, limits, put_cross_signing, shared_since,
};
use crate::{
    storage::{
        Json, Read, ShortUserId, StreamPosition, Transaction,
        records::{RemoteDevice, RemoteDeviceList},
        tables::REMOTE_DEVICE_LISTS,
    },
    users::UserError,
};

/// What an update had to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    /// Nothing.
    ToldBefore,
    /// Something that clients don't see: a device that can't be encrypted for yet.
    NotForClients,
    /// Keys, or a device that has gone.
    ForClients,
}

impl RemoteDevices {
    /// Takes an update of one device. One that follows the last one changes the list; one that does not marks it to
    /// be asked for again. Users without a shared room are none of this server's business.
    pub fn device_changed(
        &self,
        origin: &ServerName,
        update: &DeviceListUpdateContent,
    ) -> Result<(), UserError> {
        self.change(origin, &update.user_id, |_, _, list| {
            if !list.is_stale && list.stream_id.is_some_and(|known| u64::from(update.stream_id) <= known) {
                return Ok(News::ToldBefore);
            }
            let shows_nothing = update.keys.is_none()
                && update.deleted != Some(true)
                && !list.devices.contains_key(&update.device_id);
            apply(list, update);
            Ok(if shows_nothing { News::NotForClients } else { News::ForClients })
        })
    }

    /// Takes new cross-signing keys of a user with whom a room is shared.
    pub fn signing_keys_changed(
        &self,
        origin: &ServerName,
        update: &SigningKeyUpdateContent,
    ) -> Result<(), UserError> {
        self.change(origin, &update.user_id, |tx, user, _| {
            let keys =
                [(KeyKind::Master, &update.master_key), (KeyKind::SelfSigning, &update.self_signing_key)];
            for (kind, key) in keys {
                if let Some(key) = key {
                    put_cross_signing(tx, user, &update.user_id, kind, Some(key.json()))?;
                }
            }
            Ok(News::ForClients)
        })
    }

    /// Changes what is kept of a user of `origin` with whom a room is shared, as `change` does it; others' are left.
    /// It answers what was new.
    fn change(
        &self,
        origin: &ServerName,
        user_id: &UserId,
        change: impl FnOnce(&mut Transaction<'_>, ShortUserId, &mut RemoteDeviceList) -> Result<News, UserError>,
    ) -> Result<(), UserError> {
        if user_id.server_name() != origin {
            return Err(UserError::ForeignSender(user_id.to_owned()));
        }
        self.storage.write(|tx| {
            let Some(user) = tx.short_user_id(user_id)? else { return Ok(()) };
            if !shared_since(tx, &self.server_name, user, StreamPosition(u64::MAX))? {
                return Ok(());
            }
            let mut list = tx.get(&REMOTE_DEVICE_LISTS, &user)?.map(|Json(list)| list).unwrap_or_default();
            let news = change(tx, user, &mut list)?;
            if news == News::ToldBefore {
                return Ok(());
            }
            list.generation += 1;
            tx.put(&REMOTE_DEVICE_LISTS, &user, &Json(list));
            if news == News::ForClients {
                device_list::mark_changed(tx, user)?;
            }
            Ok(())
        })
    }
}

/// Whether the list stays within its bounds with one more device.
fn has_place(list: &RemoteDeviceList, id: &OwnedDeviceId, device: &RemoteDevice) -> bool {
    let bytes: usize = list.devices.iter().map(|(id, device)| bytes_of(id, device)).sum();
    list.devices.len() < limits::DEVICES_SHOWN_MAX
        && bytes + bytes_of(id, device) <= limits::REMOTE_DEVICES_BYTES_MAX
}

/// Changes the list, or marks it if the update does not follow what is known.
fn apply(list: &mut RemoteDeviceList, update: &DeviceListUpdateContent) {
    let follows =
        !update.prev_id.is_empty() && update.prev_id.iter().all(|id| list.stream_id == Some(u64::from(*id)));
    if list.is_stale || !follows {
        list.is_stale = true;
        return;
    }
    list.stream_id = Some(update.stream_id.into());
    if update.deleted == Some(true) {
        list.devices.remove(&update.device_id);
        return;
    }
    let name = update.device_display_name.clone();
    let device =
        update.keys.as_ref().and_then(|keys| checked(&update.user_id, &update.device_id, keys.json(), name));
    match device {
        Some(device) if has_place(list, &update.device_id, &device) => {
            list.devices.insert(update.device_id.clone(), device);
        }
        // A device without keys yet is none to encrypt for; one that had keys is asked for again.
        _ => list.is_stale = list.devices.contains_key(&update.device_id) || update.keys.is_some(),
    }
}
