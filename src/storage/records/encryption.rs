//! End-to-end encryption's rows that are more than a key's own JSON.

use std::collections::BTreeMap;

use ruma::OwnedDeviceId;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What a device has left for others to claim.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct KeyStock {
    /// One-time keys by algorithm.
    pub one_time_keys: BTreeMap<String, u64>,
    /// Fallback keys by algorithm.
    pub fallback_keys: BTreeMap<String, FallbackKey>,
}

/// The key given out when no one-time key is left.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FallbackKey {
    /// The id, without the algorithm.
    pub key_id: String,
    /// The key as uploaded.
    pub key: Box<RawValue>,
    /// Whether it has been given out since it was uploaded.
    pub used: bool,
}

/// A device that is nowhere logged in and collects messages until one that is takes them over (MSC3814).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DehydratedDeviceRecord {
    /// Its id; the device itself is among the user's devices.
    pub device_id: OwnedDeviceId,
    /// Its private keys, encrypted by the client that made it: JSON as uploaded.
    pub data: Box<RawValue>,
}
