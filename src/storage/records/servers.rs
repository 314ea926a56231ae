//! What is known of other servers.

use std::collections::BTreeMap;

use ruma::MilliSecondsSinceUnixEpoch;
use serde::{Deserialize, Serialize};

/// That a server could not be reached, and when it will be tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestinationFailures {
    /// Failures in a row.
    pub failures: u32,
    /// The first of them.
    pub since: MilliSecondsSinceUnixEpoch,
    /// Until when it is left alone.
    pub until: MilliSecondsSinceUnixEpoch,
}

/// The signing keys of another server, as far as they were ever seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerKeysRecord {
    /// By key ID.
    pub keys: BTreeMap<String, ServerKeyRecord>,
}

/// A signing key of another server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerKeyRecord {
    /// The public key in unpadded base64.
    pub key: String,
    /// Events up to this time may be signed with it.
    pub valid_until: MilliSecondsSinceUnixEpoch,
    /// Whether it is one of the server's old keys, which sign no requests.
    pub is_old: bool,
}

/// The newest document of keys of another server, for those who ask us as a notary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyDocumentRecord {
    /// The JSON, as its server signed it.
    pub json: String,
    /// Its `valid_until_ts`.
    pub valid_until: MilliSecondsSinceUnixEpoch,
}
