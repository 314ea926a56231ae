//! A user's devices, as the user sees and names them. Logging out deletes a device
//! ([`Sessions`](super::Sessions)).

use ruma::{DeviceId, MilliSecondsSinceUnixEpoch, OwnedDeviceId};

use super::{UserError, keys, last_seen::LastSeen, limits, sessions::cut};
use crate::storage::{
    Direction, Json, Read, ShortUserId, Storage, StorageError, records::DeviceRecord, tables,
};

/// A device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The id.
    pub device_id: OwnedDeviceId,
    /// The name.
    pub display_name: Option<String>,
    /// When it was last seen.
    pub last_seen_at: Option<MilliSecondsSinceUnixEpoch>,
    /// From where.
    pub last_seen_address: Option<std::net::IpAddr>,
}

/// The service for devices; cheap to clone.
#[derive(Clone)]
pub struct Devices {
    storage: Storage,
    last_seen: LastSeen,
}

impl std::fmt::Debug for Devices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Devices").finish_non_exhaustive()
    }
}

impl Devices {
    /// The service; `last_seen` is that of the sessions.
    pub fn new(storage: Storage, last_seen: LastSeen) -> Self {
        Self { storage, last_seen }
    }

    /// All devices of a user.
    pub fn list(&self, user: ShortUserId) -> Result<Vec<Device>, StorageError> {
        let range = tables::DEVICES.prefix(&(user,));
        self.storage
            .scan(&tables::DEVICES, &range, Direction::Forward)
            .map(|row| row.and_then(|((_, device_id), Json(record))| self.device(user, device_id, record)))
            .collect()
    }

    /// One device of a user.
    pub fn get(&self, user: ShortUserId, device_id: &DeviceId) -> Result<Device, UserError> {
        let Some(Json(record)) = self.storage.get(&tables::DEVICES, &(user, device_id.to_owned()))? else {
            return Err(UserError::UnknownDevice(device_id.to_owned()));
        };
        Ok(self.device(user, device_id.to_owned(), record)?)
    }

    /// Gives a device a new name, or with `None` changes nothing; either way it must exist.
    pub fn rename(
        &self,
        user: ShortUserId,
        device_id: &DeviceId,
        display_name: Option<String>,
    ) -> Result<(), UserError> {
        let key = (user, device_id.to_owned());
        self.storage.write(|tx| {
            let Some(Json(mut record)) = tx.get(&tables::DEVICES, &key)? else {
                return Err(UserError::UnknownDevice(device_id.to_owned()));
            };
            if let Some(name) = display_name {
                record.display_name = Some(cut(name, limits::DEVICE_DISPLAY_NAME_BYTES_MAX));
                tx.put(&tables::DEVICES, &key, &Json(record));
                keys::device_renamed(tx, user, device_id)?;
            }
            Ok(())
        })
    }

    fn device(
        &self,
        user: ShortUserId,
        device_id: OwnedDeviceId,
        record: DeviceRecord,
    ) -> Result<Device, StorageError> {
        let seen = self.last_seen.of(user, &device_id)?;
        Ok(Device {
            device_id,
            display_name: record.display_name,
            last_seen_at: seen.as_ref().map(|seen| seen.at),
            last_seen_address: seen.and_then(|seen| seen.address),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::{AccessToken, NewDevice, fixture::Fixture};
    use ruma::device_id;

    #[test]
    fn devices_are_listed_renamed_and_seen() {
        let server = Fixture::new();
        let alice = server.user("alice");
        let name = Some("Phone".to_owned());
        let phone = NewDevice {
            device_id: Some(device_id!("PHONE").to_owned()),
            display_name: name,
            ..NewDevice::default()
        };
        let session = server.sessions.start(&alice.user_id, phone).unwrap();
        let (user, devices) = (alice.user, &server.devices);

        assert_eq!(devices.list(user).unwrap().len(), 2);
        let device = devices.get(user, device_id!("PHONE")).unwrap();
        assert_eq!((device.display_name.as_deref(), device.last_seen_at), (Some("Phone"), None));

        let found = server.sessions.find(&AccessToken::new(&session.access_token)).unwrap().unwrap();
        let address = Some("192.0.2.7".parse().unwrap());
        server.sessions.seen(&found, address);
        devices.rename(user, device_id!("PHONE"), Some("Pocket".to_owned())).unwrap();
        devices.rename(user, device_id!("PHONE"), None).unwrap();
        let expected = Device {
            device_id: device_id!("PHONE").to_owned(),
            display_name: Some("Pocket".to_owned()),
            last_seen_at: Some(server.clock.now()),
            last_seen_address: address,
        };
        assert_eq!(devices.get(user, device_id!("PHONE")).unwrap(), expected);

        server.sessions.last_seen().flush().unwrap();
        assert_eq!(devices.get(user, device_id!("PHONE")).unwrap(), expected, "as well after it was written");
    }

    #[test]
    fn a_flush_does_not_bring_back_what_was_deleted() {
        let server = Fixture::new();
        let alice = server.user("alice");
        let session = server.sessions.find(&AccessToken::new(&alice.access_token)).unwrap().unwrap();
        server.sessions.seen(&session, None);
        server.sessions.end(alice.user, &alice.device_id).unwrap();
        server.sessions.last_seen().flush().unwrap();
        let seen = server.storage.get(&tables::DEVICES_LAST_SEEN, &(alice.user, alice.device_id.clone()));
        assert_eq!(seen.unwrap(), None);
    }

    #[test]
    fn unknown_devices_and_those_of_others_are_not_found() {
        let server = Fixture::new();
        let (alice, bob) = (server.user("alice"), server.user("bob"));
        let get = server.devices.get(bob.user, &alice.device_id);
        assert!(matches!(get, Err(UserError::UnknownDevice(_))));
        let rename = server.devices.rename(bob.user, &alice.device_id, Some("mine".to_owned()));
        assert!(matches!(rename, Err(UserError::UnknownDevice(_))));
    }
}
