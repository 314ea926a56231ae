//! What is known of the devices of other servers' users.

use std::collections::BTreeMap;

use ruma::OwnedDeviceId;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::storage::short_ids::StreamPosition;

/// A remote user's devices, as their server last told.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RemoteDeviceList {
    /// When it was asked for.
    pub cached_at: StreamPosition,
    /// The update that it includes; `None` where the server did not say.
    pub stream_id: Option<u64>,
    /// True when updates were missed: it has to be asked for again.
    pub is_stale: bool,
    /// Counts what was told, so that an answer that was overtaken by an update is known.
    pub generation: u64,
    /// The devices with identity keys.
    pub devices: BTreeMap<OwnedDeviceId, RemoteDevice>,
}

/// A device of a remote user.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RemoteDevice {
    /// The identity keys as uploaded, without `unsigned`.
    pub keys: Box<RawValue>,
    /// The name, if the server tells it.
    pub display_name: Option<String>,
}
