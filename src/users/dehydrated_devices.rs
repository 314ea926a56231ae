//! Dehydrated devices (MSC3814): a device of a user that is nowhere logged in. It has keys like any other, so others
//! send it what they send the user's devices, and its messages wait until a client that knows the key to its private
//! keys takes them over. Each user has at most one.
//!
//! The device is among the user's devices, with its keys and its queue, and goes as they do; only its encrypted
//! private keys are kept apart. It has no access token, so nobody acts as it. Main type: [`DehydratedDevices`].

use ruma::{DeviceId, OwnedDeviceId, UserId};
use serde_json::value::RawValue;

use super::{
    Sessions, ToDevice, UserError,
    keys::{CheckedUpload, KeyUpload},
    limits,
    secrets::SecretHash,
    sessions::{self, cut},
    to_device::Delivery,
};
use crate::storage::{
    Json, Read, ShortUserId, StorageError, StreamPosition, Transaction,
    records::{DehydratedDeviceRecord, DeviceRecord},
    tables::{DEHYDRATED_DEVICES, DEVICES},
};

/// A dehydrated device as a client uploads it.
#[derive(Debug)]
pub struct NewDehydratedDevice {
    /// Its id, which no device that is logged in has.
    pub device_id: OwnedDeviceId,
    /// Its name.
    pub display_name: Option<String>,
    /// Its private keys, encrypted.
    pub data: Box<RawValue>,
    /// Its public keys.
    pub keys: KeyUpload,
}

/// A dehydrated device as a client gets it.
#[derive(Debug)]
pub struct DehydratedDevice {
    /// Its id.
    pub device_id: OwnedDeviceId,
    /// Its private keys, as uploaded.
    pub data: Box<RawValue>,
}

/// The service; cheap to clone.
#[derive(Debug, Clone)]
pub struct DehydratedDevices {
    sessions: Sessions,
    to_device: ToDevice,
}

impl DehydratedDevices {
    /// The service.
    pub fn new(sessions: Sessions, to_device: ToDevice) -> Self {
        Self { sessions, to_device }
    }

    /// Puts a dehydrated device in the place of the user's last one, whose messages go with it.
    pub fn put(
        &self,
        user_id: &UserId,
        user: ShortUserId,
        device: NewDehydratedDevice,
    ) -> Result<(), UserError> {
        let NewDehydratedDevice { device_id, display_name, data, keys } = device;
        if device_id.as_bytes().is_empty() || device_id.as_bytes().len() > limits::DEVICE_ID_BYTES_MAX {
            return Err(UserError::DeviceIdTooLong);
        }
        if data.get().len() > limits::DEHYDRATED_DATA_BYTES_MAX {
            let max = format!("{} bytes", limits::DEHYDRATED_DATA_BYTES_MAX);
            return Err(UserError::TooLarge { what: "A dehydrated device's data", max });
        }
        let keys = CheckedUpload::new(user_id, &device_id, &keys)?;
        let display_name = display_name.map(|name| cut(name, limits::DEVICE_DISPLAY_NAME_BYTES_MAX));
        let record = DeviceRecord { display_name, created_at: self.sessions.clock().now() };
        let ended = self.sessions.storage().write(|tx| {
            let ended = end_last(tx, user)?.1;
            let key = (user, device_id);
            if tx.contains(&DEVICES, &key)? {
                return Err(UserError::DeviceInUse(key.1));
            }
            tx.put(&DEVICES, &key, &Json(record));
            keys.write(tx, &key)?;
            let record = DehydratedDeviceRecord { device_id: key.1, data };
            tx.put(&DEHYDRATED_DEVICES, &user, &Json(record));
            Ok(ended)
        })?;
        self.sessions.forget(&ended);
        Ok(())
    }

    /// The user's dehydrated device.
    pub fn get(&self, user: ShortUserId) -> Result<DehydratedDevice, UserError> {
        let Some(Json(record)) = self.sessions.storage().get(&DEHYDRATED_DEVICES, &user)? else {
            return Err(UserError::NoDehydratedDevice);
        };
        Ok(DehydratedDevice { device_id: record.device_id, data: record.data })
    }

    /// Deletes the user's dehydrated device; its id.
    pub fn delete(&self, user: ShortUserId) -> Result<OwnedDeviceId, UserError> {
        let (deleted, ended) = self.sessions.storage().write(|tx| end_last(tx, user))?;
        self.sessions.forget(&ended);
        deleted.ok_or(UserError::NoDehydratedDevice)
    }

    /// Messages for the dehydrated device after `from`. None is deleted until the device is: whoever takes them
    /// over may be lost half-way.
    pub fn messages(
        &self,
        user: ShortUserId,
        device_id: &DeviceId,
        from: StreamPosition,
        limit: usize,
    ) -> Result<Delivery, UserError> {
        if !matches!(self.get(user), Ok(device) if device.device_id == device_id) {
            return Err(UserError::NotDehydrated(device_id.to_owned()));
        }
        let until = self.sessions.storage().position();
        Ok(self.to_device.since(user, device_id, from, until, limit)?)
    }
}

/// Deletes the user's dehydrated device with all that belongs to it, if there is one; its id, and the tokens of
/// a session if somebody logged in under that id.
fn end_last(
    tx: &mut Transaction<'_>,
    user: ShortUserId,
) -> Result<(Option<OwnedDeviceId>, Vec<SecretHash>), UserError> {
    let Some(Json(record)) = tx.get(&DEHYDRATED_DEVICES, &user)? else { return Ok((None, Vec::new())) };
    let ended = sessions::end(tx, &(user, record.device_id.clone()))?;
    Ok((Some(record.device_id), ended))
}

/// Forgets that a device that is deleted was the dehydrated one.
pub(super) fn forget(
    tx: &mut Transaction<'_>,
    (user, device_id): &(ShortUserId, OwnedDeviceId),
) -> Result<(), StorageError> {
    let dehydrated = tx.get(&DEHYDRATED_DEVICES, user)?;
    if dehydrated.is_some_and(|Json(record)| record.device_id == *device_id) {
        tx.delete(&DEHYDRATED_DEVICES, user);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ruma::{device_id, owned_device_id};
    use serde_json::{json, value::to_raw_value};

    use super::*;
    use crate::users::{
        NewDevice,
        fixture::{Fixture, TestUser},
        to_device::{Messages, SendingDevice},
    };

    fn dehydrated(user: &TestUser, id: &str) -> NewDehydratedDevice {
        let keys = json!({
            "user_id": user.user_id, "device_id": id, "algorithms": [], "dehydrated": true,
            "keys": {}, "signatures": {},
        });
        NewDehydratedDevice {
            device_id: id.into(),
            display_name: Some("Dehydrated".to_owned()),
            data: to_raw_value(&json!({"algorithm": "m.dehydration.v2", "device_pickle": id})).unwrap(),
            keys: KeyUpload { device_keys: Some(to_raw_value(&keys).unwrap()), ..KeyUpload::default() },
        }
    }

    fn send(server: &Fixture, alice: &TestUser, to: &str, n: usize) {
        let sender = SendingDevice {
            user_id: alice.user_id.clone(),
            user: alice.user,
            device_id: alice.device_id.clone(),
        };
        let content = to_raw_value(&json!({"n": n})).unwrap();
        let device = ruma::to_device::DeviceIdOrAllDevices::DeviceId(to.into());
        let contents = BTreeMap::from([(alice.user_id.clone(), BTreeMap::from([(device, content)]))]);
        let messages = Messages { event_type: "m.secret".to_owned(), contents };
        server.to_device.send::<UserError>(&sender, &format!("{to}{n}"), &messages, |_, _| Ok(())).unwrap();
        server.storage.durable_blocking().unwrap();
    }

    #[test]
    fn messages_wait_for_the_device_and_stay_until_it_goes() {
        let server = Fixture::new();
        let alice = server.user("alice");
        let service = DehydratedDevices::new(server.sessions.clone(), server.to_device.clone());
        assert!(matches!(service.get(alice.user), Err(UserError::NoDehydratedDevice)));
        service.put(&alice.user_id, alice.user, dehydrated(&alice, "DRY")).unwrap();
        assert!(service.get(alice.user).unwrap().data.get().contains("DRY"));
        for n in 0..3 {
            send(&server, &alice, "DRY", n);
        }
        let read = |from, limit| service.messages(alice.user, device_id!("DRY"), from, limit).unwrap();
        for _ in 0..2 {
            let first = read(StreamPosition(0), 2);
            assert!(first.more && first.events.len() == 2);
            let rest = read(first.up_to, 2);
            assert!(!rest.more && rest.events.len() == 1, "nothing is deleted by reading");
        }
        let other = service.messages(alice.user, &alice.device_id, StreamPosition(0), 2);
        assert!(matches!(other, Err(UserError::NotDehydrated(_))));

        service.put(&alice.user_id, alice.user, dehydrated(&alice, "NEXT")).unwrap();
        assert!(server.devices.get(alice.user, device_id!("DRY")).is_err(), "there is but one");
        let name = server.devices.get(alice.user, device_id!("NEXT")).unwrap().display_name;
        assert_eq!(name.as_deref(), Some("Dehydrated"));
        let next = service.messages(alice.user, device_id!("NEXT"), StreamPosition(0), 2).unwrap();
        assert!(next.events.is_empty());
        assert_eq!(service.delete(alice.user).unwrap(), "NEXT");
        assert!(matches!(service.delete(alice.user), Err(UserError::NoDehydratedDevice)));
    }

    #[test]
    fn it_takes_nobodys_place_and_goes_with_the_other_devices() {
        let server = Fixture::new();
        let alice = server.user("alice");
        let service = DehydratedDevices::new(server.sessions.clone(), server.to_device.clone());
        let mine = dehydrated(&alice, alice.device_id.as_str());
        let refused = service.put(&alice.user_id, alice.user, mine);
        assert!(matches!(refused, Err(UserError::DeviceInUse(_))));
        let mut foreign = dehydrated(&alice, "DRY");
        foreign.device_id = owned_device_id!("OTHER");
        let refused = service.put(&alice.user_id, alice.user, foreign);
        assert!(matches!(refused, Err(UserError::KeysOfAnother)));
        service.put(&alice.user_id, alice.user, dehydrated(&alice, "DRY")).unwrap();
        assert!(server.sessions.end(alice.user, device_id!("DRY")).unwrap());
        assert!(matches!(service.get(alice.user), Err(UserError::NoDehydratedDevice)));
        service.put(&alice.user_id, alice.user, dehydrated(&alice, "DRY")).unwrap();
        server.sessions.start(&alice.user_id, NewDevice::default()).unwrap();
        server.sessions.end_all(alice.user).unwrap();
        assert!(matches!(service.get(alice.user), Err(UserError::NoDehydratedDevice)));
    }
}
