//! The body of a transaction ([`PUT /_matrix/app/v1/transactions/{txnId}`]).
//!
//! [`PUT /_matrix/app/v1/transactions/{txnId}`]: https://spec.matrix.org/v1.19/application-service-api/#put_matrixappv1transactionstxnid

use std::collections::{BTreeMap, BTreeSet};

use ruma::UserId;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{DeliveryError, queue::Batch};
use crate::{
    matrix::{
        client_format::{ClientFormat, Unsigned, client_event},
        event::Event,
    },
    rooms::{EventStore, RoomStates, StoredEvent},
    state::tree::StateRoot,
    storage::{ShortEventId, records::QueuedForAppservice},
    users::{Clock, EncryptionKeys, appservices::Registration},
};

/// Writes transactions. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Transactions {
    pub(super) events: EventStore,
    pub(super) states: RoomStates,
    pub(super) keys: EncryptionKeys,
    pub(super) clock: Clock,
}

#[derive(Serialize)]
struct Body<'a> {
    events: &'a [Box<RawValue>],
    #[serde(skip_serializing_if = "Option::is_none")]
    ephemeral: Option<&'a [Box<RawValue>]>,
    /// The same under the name of MSC2409, for those that ask for it by that MSC's name.
    #[serde(rename = "de.sorunome.msc2409.ephemeral", skip_serializing_if = "Option::is_none")]
    msc2409_ephemeral: Option<&'a [Box<RawValue>]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_device: Option<&'a [Box<RawValue>]>,
    #[serde(rename = "de.sorunome.msc2409.to_device", skip_serializing_if = "Option::is_none")]
    msc2409_to_device: Option<&'a [Box<RawValue>]>,
    #[serde(rename = "org.matrix.msc3202.device_lists", skip_serializing_if = "DeviceLists::is_empty")]
    device_lists: &'a DeviceLists,
    #[serde(
        rename = "org.matrix.msc3202.device_one_time_keys_count",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    one_time_keys: &'a OfDevices<BTreeMap<String, u64>>,
    /// As the MSC's first implementations called it.
    #[serde(
        rename = "org.matrix.msc3202.device_one_time_key_counts",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    one_time_keys_before: &'a OfDevices<BTreeMap<String, u64>>,
    #[serde(
        rename = "org.matrix.msc3202.device_unused_fallback_key_types",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    fallback_keys: &'a OfDevices<Vec<String>>,
}

/// By user and device.
type OfDevices<T> = BTreeMap<String, BTreeMap<String, T>>;

#[derive(Debug, Default, Serialize)]
struct DeviceLists {
    changed: BTreeSet<String>,
    left: BTreeSet<String>,
}

impl DeviceLists {
    fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.left.is_empty()
    }
}

/// What a transaction carries.
#[derive(Debug, Default)]
struct Contents {
    events: Vec<Box<RawValue>>,
    ephemeral: Vec<Box<RawValue>>,
    to_device: Vec<Box<RawValue>>,
    device_lists: DeviceLists,
    one_time_keys: OfDevices<BTreeMap<String, u64>>,
    fallback_keys: OfDevices<Vec<String>>,
}

impl Contents {
    /// Under the names that the registration asks for.
    fn body(&self, registration: &Registration) -> Body<'_> {
        let (stable, msc2409) = (registration.receives_ephemeral, registration.receives_msc2409_ephemeral);
        Body {
            events: &self.events,
            ephemeral: given(stable, &self.ephemeral),
            msc2409_ephemeral: given(msc2409, &self.ephemeral),
            to_device: given(stable, &self.to_device),
            msc2409_to_device: given(msc2409, &self.to_device),
            device_lists: &self.device_lists,
            one_time_keys: &self.one_time_keys,
            one_time_keys_before: &self.one_time_keys,
            fallback_keys: &self.fallback_keys,
        }
    }
}

/// A list, if it is wanted and there is something in it.
fn given(is_wanted: bool, list: &[Box<RawValue>]) -> Option<&[Box<RawValue>]> {
    (is_wanted && !list.is_empty()).then_some(list)
}

impl Transactions {
    /// The body of a transaction. What can't be read any more is left out and reported: a damaged row must not
    /// hold up a bridge for ever.
    pub(super) fn write(&self, registration: &Registration, batch: &Batch) -> Result<Vec<u8>, DeliveryError> {
        let mut contents = Contents::default();
        for item in &batch.items {
            match item {
                QueuedForAppservice::Ephemeral(data) => contents.ephemeral.push(data.clone()),
                QueuedForAppservice::ToDevice(message) => contents.to_device.push(message.clone()),
                QueuedForAppservice::DeviceList(user) => {
                    contents.device_lists.left.remove(user);
                    contents.device_lists.changed.insert(user.clone());
                }
                QueuedForAppservice::DeviceListLeft(user) => {
                    contents.device_lists.changed.remove(user);
                    contents.device_lists.left.insert(user.clone());
                }
                QueuedForAppservice::KeyStock(user, device) => self.add_stock(user, device, &mut contents)?,
                QueuedForAppservice::Event(short) => match self.event(ShortEventId(*short)) {
                    Ok(Some(event)) => contents.events.push(event),
                    Ok(None) => tracing::warn!(event = short, "an event for an application service is gone"),
                    Err(DeliveryError::Room(error)) => {
                        tracing::error!(event = short, %error, "an event for an application service is damaged");
                    }
                    Err(error) => return Err(error),
                },
            }
        }
        Ok(serde_json::to_vec(&contents.body(registration))?)
    }

    /// What a device has left of its keys now.
    fn add_stock(&self, user: &str, device: &str, contents: &mut Contents) -> Result<(), DeliveryError> {
        let Ok(user_id) = UserId::parse(user) else { return Ok(()) };
        let Some((one_time_keys, fallback_keys)) = self.keys.stock_of(&user_id, device.into())? else {
            return Ok(());
        };
        let (user, device) = (user.to_owned(), device.to_owned());
        contents.one_time_keys.entry(user.clone()).or_default().insert(device.clone(), one_time_keys);
        contents.fallback_keys.entry(user).or_default().insert(device, fallback_keys);
        Ok(())
    }

    fn event(&self, short: ShortEventId) -> Result<Option<Box<RawValue>>, DeliveryError> {
        let Some(stored) = self.events.get(short)? else { return Ok(None) };
        let replaced = self.replaced(&stored)?;
        let prev_content = replaced.as_ref().map(|event| event.content::<&RawValue>()).transpose()?;
        let redaction = match stored.meta.redacted_by {
            Some(redaction) => self.events.get(redaction)?,
            None => None,
        };
        let redacted_because = redaction
            .map(|redaction| client_event(&redaction.event, ClientFormat::WithRoomId, &Unsigned::default()))
            .transpose()?;
        let [now, sent] = [self.clock.now_ms(), stored.event.origin_server_ts()].map(i64::try_from);
        let unsigned = Unsigned {
            age: Some(now.unwrap_or(i64::MAX).saturating_sub(sent.unwrap_or(i64::MAX))),
            prev_content,
            prev_sender: replaced.as_ref().map(|event| event.sender().as_str()),
            replaces_state: replaced.as_ref().map(|event| event.event_id()),
            redacted_because: redacted_because.as_deref(),
            ..Unsigned::default()
        };
        Ok(Some(client_event(&stored.event, ClientFormat::WithRoomId, &unsigned)?))
    }

    /// The state event that an event replaced.
    fn replaced(&self, stored: &StoredEvent) -> Result<Option<std::sync::Arc<Event>>, DeliveryError> {
        let Some(state_key) = stored.event.state_key() else { return Ok(None) };
        let before = StateRoot::from_bytes(stored.meta.state_before);
        let Some(short) = self.states.get(before, stored.event.event_type(), state_key)? else {
            return Ok(None);
        };
        Ok(self.events.get(short)?.map(|replaced| replaced.event))
    }
}
