//! Values as bytes.

use serde::{Serialize, de::DeserializeOwned};

use super::codec::{CodecError, Key};

/// A row's value.
pub trait Value: Sized {
    /// The bytes.
    fn to_value(&self) -> Vec<u8>;

    /// Decodes a whole value.
    fn from_value(bytes: &[u8]) -> Result<Self, CodecError>;
}

/// A record kept as JSON: for rows off the hot paths, where a field may be added later without a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T: Serialize + DeserializeOwned> Value for Json<T> {
    fn to_value(&self) -> Vec<u8> {
        // A record of ours has only string keys and no failing serializers; should that ever change, the
        // row is written empty and reported as corrupt when read, instead of taking the server down.
        serde_json::to_vec(&self.0).unwrap_or_default()
    }

    fn from_value(bytes: &[u8]) -> Result<Self, CodecError> {
        serde_json::from_slice(bytes).map(Self).map_err(|e| CodecError::invalid("record", e))
    }
}

/// Bytes as they are.
impl Value for Vec<u8> {
    fn to_value(&self) -> Vec<u8> {
        self.clone()
    }

    fn from_value(bytes: &[u8]) -> Result<Self, CodecError> {
        Ok(bytes.to_vec())
    }
}

impl Value for String {
    fn to_value(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn from_value(bytes: &[u8]) -> Result<Self, CodecError> {
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|e| CodecError::invalid("UTF-8 text", e))
    }
}

/// Makes types that are keys values as well, in the same encoding.
macro_rules! key_values {
    ($($t:ty),* $(,)?) => {$(
        impl Value for $t {
            fn to_value(&self) -> Vec<u8> {
                self.to_bytes()
            }
            fn from_value(bytes: &[u8]) -> Result<Self, CodecError> {
                Self::from_bytes(bytes)
            }
        }
    )*};
}
pub(crate) use key_values;

key_values!((), u8, u64, i64, bool, [u8; 16], [u8; 32], ruma::OwnedServerName);

impl<A: Key, B: Key> Value for (A, B) {
    fn to_value(&self) -> Vec<u8> {
        self.to_bytes()
    }

    fn from_value(bytes: &[u8]) -> Result<Self, CodecError> {
        Self::from_bytes(bytes)
    }
}

impl<A: Key, B: Key, C: Key> Value for (A, B, C) {
    fn to_value(&self) -> Vec<u8> {
        self.to_bytes()
    }

    fn from_value(bytes: &[u8]) -> Result<Self, CodecError> {
        Self::from_bytes(bytes)
    }
}
