//! Media's rows.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::storage::{
    codec::{CodecError, Key},
    short_ids::ShortUserId,
    value::{Value, key_values},
};

/// The SHA-256 of a file's bytes, under which it lies on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileHash(pub [u8; 32]);

impl FileHash {
    /// In lower-case hexadecimal digits.
    pub fn to_hex(self) -> String {
        use std::fmt::Write as _;
        self.0.iter().fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a text cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    /// From 64 hexadecimal digits.
    pub fn from_hex(hex: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if hex.len() != 64 || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, place) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(hex.get(place..place + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl Serialize for FileHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

impl<'de> Deserialize<'de> for FileHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let hex = String::deserialize(deserializer)?;
        Self::from_hex(&hex).ok_or_else(|| D::Error::custom("not a SHA-256 in hexadecimal digits"))
    }
}

impl Key for FileHash {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }

    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        Key::decode(input).map(Self)
    }
}

key_values!(FileHash);

/// Where a piece of media comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    /// A user of this server has uploaded it.
    Upload,
    /// It was fetched from another server, and can be fetched again.
    Remote,
    /// An image in a preview of a link.
    Preview,
}

/// One piece of media.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaRecord {
    /// Where it comes from.
    pub kind: MediaKind,
    /// The file that holds its bytes.
    pub file: FileHash,
    /// Its length in bytes.
    pub bytes: u64,
    /// The content type that its uploader gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The file name that its uploader gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// The local user who has uploaded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uploader: Option<ShortUserId>,
    /// When it was uploaded or fetched, in milliseconds since 1970.
    pub created_ms: u64,
    /// True when the endpoints without authentication were frozen by then, so that they never serve it.
    pub authenticated_only: bool,
    /// The administrator who has put it into quarantine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantined_by: Option<String>,
    /// True when an administrator has said that quarantine by room or user leaves it out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_protected: bool,
}

/// One thumbnail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThumbnailRecord {
    /// The file that holds its bytes.
    pub file: FileHash,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its content type.
    pub content_type: String,
}

/// What is known of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UrlPreviewRecord {
    /// The link.
    pub url: String,
    /// When it was fetched, in milliseconds since 1970.
    pub fetched_ms: u64,
    /// The preview as clients get it: a JSON object.
    pub preview: serde_json::Value,
    /// The media id of its image on this server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn hashes_round_trip(bytes: [u8; 32]) {
            let hash = FileHash(bytes);
            prop_assert_eq!(FileHash::from_hex(&hash.to_hex()), Some(hash));
            prop_assert_eq!(FileHash::from_value(&hash.to_value()).unwrap(), hash);
        }

        #[test]
        fn other_texts_are_no_hashes(text in ".{0,70}") {
            prop_assert!(FileHash::from_hex(&text).is_none_or(|hash| hash.to_hex() == text.to_lowercase()));
        }
    }
}
