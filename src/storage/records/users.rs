//! Accounts' rows: off the hot paths, so JSON, but for account data, which is kept as the client sent it.

use ruma::MilliSecondsSinceUnixEpoch;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::storage::{
    codec::{CodecError, Key},
    short_ids::StreamPosition,
    value::Value,
};

/// An account of this server. It is never removed, so that its name is never given to somebody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "they hold independently of one another")]
pub struct AccountRecord {
    /// The password's hash in PHC form; `None` where one can't log in with a password.
    pub password_hash: Option<String>,
    /// Whether the user administers this server.
    pub is_admin: bool,
    /// Whether the account was closed for good.
    pub is_deactivated: bool,
    /// When it was made.
    pub created_at: MilliSecondsSinceUnixEpoch,
    /// The id of the application service that made it, for one of its users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appservice: Option<String>,
    /// Whether an administrator has locked it: nothing can be done with it until it is unlocked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_locked: bool,
    /// Whether an administrator has suspended it: its user may read, and do little else.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_suspended: bool,
    /// Whether it is a guest's, who may do little.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_guest: bool,
    /// Whether the user asked, when the account was closed, to be forgotten as far as possible.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_erased: bool,
    /// What kind of user it is, in the operator's words, such as `bot`; `None` for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_type: Option<String>,
    /// How often the user may send events, where that is not as for everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_rate: Option<MessageRateOverride>,
}

/// A limit on sending events that an administrator gave to one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRateOverride {
    /// Events a second in the long run; 0 for no limit.
    pub messages_per_second: u32,
    /// Events at once after a pause.
    pub burst: u32,
}

/// A device of a user: one login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRecord {
    /// The name that the user sees in the list of devices.
    pub display_name: Option<String>,
    /// When it first logged in.
    pub created_at: MilliSecondsSinceUnixEpoch,
}

/// The refresh tokens of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshRecord {
    /// SHA-256 of the newest one, which came with the device's newest access token.
    pub newest: [u8; 32],
    /// SHA-256 of the access token and of the refresh token before the newest: they hold until one of the newest
    /// is used, as the client may never have got them.
    pub before: Option<([u8; 32], [u8; 32])>,
}

/// When and from where a device was last seen. Written rarely, so it may lag behind by some minutes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastSeenRecord {
    /// When.
    pub at: MilliSecondsSinceUnixEpoch,
    /// The client's address.
    pub address: Option<std::net::IpAddr>,
}

/// One entry of a user's account data.
#[derive(Debug, Clone)]
pub struct AccountDataRow {
    /// When it was last changed.
    pub position: StreamPosition,
    /// The content, a JSON object.
    pub content: Box<RawValue>,
}

impl Value for AccountDataRow {
    fn to_value(&self) -> Vec<u8> {
        let content = self.content.get().as_bytes();
        let mut out = Vec::with_capacity(8 + content.len());
        self.position.encode(&mut out);
        out.extend_from_slice(content);
        out
    }

    fn from_value(mut bytes: &[u8]) -> Result<Self, CodecError> {
        let position = StreamPosition::decode(&mut bytes)?;
        let content = serde_json::from_slice(bytes).map_err(|e| CodecError::invalid("JSON content", e))?;
        Ok(Self { position, content })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_data_keeps_its_text() {
        let content = r#"{"b": 1.50, "a": [ "x" ]}"#;
        let row = AccountDataRow {
            position: StreamPosition(7),
            content: RawValue::from_string(content.to_owned()).unwrap(),
        };
        let back = AccountDataRow::from_value(&row.to_value()).unwrap();
        assert_eq!(back.position, StreamPosition(7));
        assert_eq!(back.content.get(), content);
    }

    #[test]
    fn broken_account_data_is_an_error() {
        assert!(AccountDataRow::from_value(b"short").is_err());
        assert!(AccountDataRow::from_value(b"\0\0\0\0\0\0\0\x01{not json").is_err());
    }
}
