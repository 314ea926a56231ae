//! Send-to-device messages (client-server API, "Send-to-Device messaging"): a queue for each device.
//!
//! A message is a row in the order of stream positions. It is delivered by whatever sync the device uses and
//! deleted when the device comes back with a token from after it, never before: a message that was sent once
//! reaches its device once, whatever crashes in between. Sending is one transaction with the mark that makes a
//! repetition of the request do nothing. Nothing here looks into a message. Main type: [`ToDevice`].

mod queue;
mod transactions;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use ruma::{
    DeviceId, OwnedDeviceId, OwnedServerName, OwnedUserId, ServerName, UserId,
    to_device::DeviceIdOrAllDevices,
};
use serde::Serialize;
use serde_json::value::RawValue;

use self::{queue::Trimmer, transactions::SentTransactions};
use super::{Appservices, Clock, UserError, limits};
use crate::storage::{
    Direction, Read, ShortUserId, Storage, StorageError, StreamPosition, Transaction, tables,
};

pub use queue::Delivery;
pub(super) use queue::drop_queue;

/// Contents by user and device.
pub type MessagesByUser = BTreeMap<OwnedUserId, BTreeMap<DeviceIdOrAllDevices, Box<RawValue>>>;

/// What one request sends.
#[derive(Debug, Clone)]
pub struct Messages {
    /// The type of all the messages.
    pub event_type: String,
    /// Their contents.
    pub contents: MessagesByUser,
}

/// The device that sends.
#[derive(Debug, Clone)]
pub struct SendingDevice {
    /// Its user.
    pub user_id: OwnedUserId,
    /// The user's short id.
    pub user: ShortUserId,
    /// The device.
    pub device_id: OwnedDeviceId,
}

/// Messages for users of other servers, by server.
pub type RemoteMessages = BTreeMap<OwnedServerName, MessagesByUser>;

/// The service; cheap to clone.
#[derive(Debug, Clone)]
pub struct ToDevice {
    inner: Arc<Inner>,
    appservices: Appservices,
}

#[derive(Debug)]
struct Inner {
    storage: Storage,
    server_name: OwnedServerName,
    clock: Clock,
    sent: SentTransactions,
    trimmer: Trimmer,
}

#[derive(Serialize)]
struct Message<'a> {
    r#type: &'a str,
    sender: &'a UserId,
    content: &'a RawValue,
}

impl ToDevice {
    /// The service of server `server_name`.
    pub fn new(storage: Storage, server_name: OwnedServerName, clock: Clock) -> Self {
        let (sent, trimmer) = (SentTransactions::default(), Trimmer::default());
        let inner = Inner { storage, server_name, clock, sent, trimmer };
        Self { inner: Arc::new(inner), appservices: Appservices::default() }
    }

    /// With messages to users of `appservices` noted for those that want to be sent them (MSC4203).
    #[must_use]
    pub fn with_appservices(self, appservices: Appservices) -> Self {
        Self { appservices, ..self }
    }

    /// Sends a request's messages, unless the request is one that was seen before. Those for users of other
    /// servers go to `remote`, in the same transaction. Messages for devices that do not exist are dropped.
    pub fn send<E: From<UserError> + From<StorageError>>(
        &self,
        sender: &SendingDevice,
        transaction_id: &str,
        messages: &Messages,
        remote: impl FnOnce(&mut Transaction<'_>, RemoteMessages) -> Result<(), E>,
    ) -> Result<(), E> {
        check(messages)?;
        let inner = &*self.inner;
        let id =
            (sender.user, sender.device_id.clone(), transactions::hash(&messages.event_type, transaction_id));
        inner.storage.write(|tx| {
            if !inner.sent.begin(tx, id, inner.clock.now_ms())? {
                return Ok(());
            }
            let mut elsewhere = RemoteMessages::new();
            for (user_id, of_devices) in &messages.contents {
                if user_id.server_name() == inner.server_name {
                    self.deliver(tx, &sender.user_id, &messages.event_type, user_id, of_devices)?;
                } else {
                    let of_server = elsewhere.entry(user_id.server_name().to_owned()).or_default();
                    of_server.insert(user_id.clone(), of_devices.clone());
                }
            }
            if elsewhere.is_empty() { Ok(()) } else { remote(tx, elsewhere) }
        })
    }

    /// Takes messages that another server sends for its user `sender` (server-server API, `m.direct_to_device`).
    /// Those with a message id that was seen before are dropped, and so are those for users of other servers.
    pub fn receive(
        &self,
        origin: &ServerName,
        sender: &UserId,
        message_id: &str,
        messages: &Messages,
    ) -> Result<(), UserError> {
        if sender.server_name() != origin {
            return Err(UserError::ForeignSender(sender.to_owned()));
        }
        check(messages)?;
        let inner = &*self.inner;
        inner.storage.write(|tx| {
            let user = tx.intern_user(sender)?;
            let id = (user, OwnedDeviceId::from(""), transactions::hash("", message_id));
            if !inner.sent.begin(tx, id, inner.clock.now_ms())? {
                return Ok(());
            }
            let here = |user_id: &UserId| user_id.server_name() == inner.server_name;
            for (user_id, of_devices) in messages.contents.iter().filter(|(user_id, _)| here(user_id)) {
                self.deliver(tx, sender, &messages.event_type, user_id, of_devices)?;
            }
            Ok(())
        })
    }

    fn deliver(
        &self,
        tx: &mut Transaction<'_>,
        sender: &UserId,
        event_type: &str,
        recipient: &UserId,
        of_devices: &BTreeMap<DeviceIdOrAllDevices, Box<RawValue>>,
    ) -> Result<(), StorageError> {
        let Some(user) = tx.short_user_id(recipient)? else { return Ok(()) };
        let is_for_appservice = self.appservices.wants_to_device(recipient);
        for (device, content) in of_devices {
            let message = Message { r#type: event_type, sender, content };
            // Texts and raw JSON never fail to be written.
            let Ok(message) = serde_json::to_vec(&message) else { continue };
            for device_id in devices(tx, user, device)? {
                let position = self.inner.trimmer.push(tx, (user, device_id.clone()), &message)?;
                if is_for_appservice {
                    tx.put(&tables::APPSERVICE_DEVICE_NEWS, &position, &(user, device_id));
                }
            }
        }
        Ok(())
    }

    /// The messages for a device after `from` and up to `until`, oldest first, at most `limit` of them.
    pub fn since(
        &self,
        user: ShortUserId,
        device_id: &DeviceId,
        from: StreamPosition,
        until: StreamPosition,
        limit: usize,
    ) -> Result<Delivery, StorageError> {
        queue::read(&self.inner.storage, user, device_id, (from, until), limit)
    }

    /// Deletes the messages for a device up to `up_to`: the device has shown a token from after it got them.
    /// Writes only if there are such messages.
    pub fn acknowledge(
        &self,
        user: ShortUserId,
        device_id: &DeviceId,
        up_to: StreamPosition,
    ) -> Result<(), StorageError> {
        queue::acknowledge(&self.inner.storage, user, device_id, up_to)
    }
}

/// The devices of a user that a recipient stands for, as far as they exist.
fn devices(
    tx: &Transaction<'_>,
    user: ShortUserId,
    device: &DeviceIdOrAllDevices,
) -> Result<Vec<OwnedDeviceId>, StorageError> {
    match device {
        DeviceIdOrAllDevices::DeviceId(device_id) => {
            let exists = tx.contains(&tables::DEVICES, &(user, device_id.clone()))?;
            Ok(exists.then(|| device_id.clone()).into_iter().collect())
        }
        DeviceIdOrAllDevices::AllDevices => {
            let range = tables::DEVICES.prefix(&(user,));
            let rows = tx.scan(&tables::DEVICES, &range, Direction::Forward);
            rows.map(|row| row.map(|((_, device_id), _)| device_id)).collect()
        }
    }
}

/// Refuses what is too large.
fn check(messages: &Messages) -> Result<(), UserError> {
    let too_large = |what, max: String| Err(UserError::TooLarge { what, max });
    if messages.event_type.len() > limits::TO_DEVICE_TYPE_BYTES_MAX {
        return too_large("The type of a message", format!("{} bytes", limits::TO_DEVICE_TYPE_BYTES_MAX));
    }
    let contents = || messages.contents.values().flat_map(BTreeMap::values);
    if contents().count() > limits::TO_DEVICE_MESSAGES_MAX {
        return too_large("A request", format!("{} messages", limits::TO_DEVICE_MESSAGES_MAX));
    }
    if contents().any(|content| content.get().len() > limits::TO_DEVICE_CONTENT_BYTES_MAX) {
        return too_large(
            "The content of a message",
            format!("{} bytes", limits::TO_DEVICE_CONTENT_BYTES_MAX),
        );
    }
    if contents().any(|content| !content.get().starts_with('{')) {
        return Err(UserError::ToDeviceContentNotAnObject);
    }
    Ok(())
}
