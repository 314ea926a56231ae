//! Reading signed objects: public keys, signatures, and whether one is over the other.

use std::collections::BTreeMap;

use ruma::UserId;
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use crate::matrix::{
    canonical_json,
    signing::{VerifyKey, json_to_sign},
};

/// The algorithm of all keys that sign.
const SIGNING_ALGORITHM: &str = "ed25519:";

/// An object with signatures.
pub(super) struct SignedObject {
    message: String,
    signatures: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Signatures {
    #[serde(default)]
    signatures: BTreeMap<String, BTreeMap<String, String>>,
}

impl SignedObject {
    /// Reads an object; `None` if it can't have been signed.
    pub(super) fn parse(json: &RawValue) -> Option<Self> {
        let object = canonical_json::parse_object(json.get().as_bytes()).ok()?;
        let message = json_to_sign(&object).ok()?;
        let Signatures { signatures } = serde_json::from_str(json.get()).ok()?;
        Some(Self { message, signatures })
    }

    /// A user's signatures by the names of the keys they were made with.
    pub(super) fn of(&self, user_id: &UserId) -> impl Iterator<Item = (&str, &str)> {
        let of_user = self.signatures.get(user_id.as_str()).into_iter().flatten();
        of_user.map(|(key, signature)| (key.as_str(), signature.as_str()))
    }

    /// Whether a signature is that of the key with this public part.
    pub(super) fn is_signed(&self, public_key: &str, signature: &str) -> bool {
        VerifyKey::from_base64(public_key).is_ok_and(|key| key.verifies(self.message.as_bytes(), signature))
    }

    /// Whether the user signed it with the key that is named after its public part, as cross-signing keys are.
    pub(super) fn is_cross_signed(&self, user_id: &UserId, public_key: &str) -> bool {
        let name = signing_key_name(public_key);
        self.of(user_id).any(|(key, signature)| key == name && self.is_signed(public_key, signature))
    }
}

/// The name of a signing key with this id.
pub(super) fn signing_key_name(id: &str) -> String {
    format!("{SIGNING_ALGORITHM}{id}")
}

/// The id in the name of a signing key.
pub(super) fn signing_key_id(name: &str) -> Option<&str> {
    name.strip_prefix(SIGNING_ALGORITHM)
}

/// The public part of a device's signing key.
pub(super) fn device_signing_key(device_keys: &Map<String, Value>, device_id: &str) -> Option<String> {
    Some(device_keys.get("keys")?.get(signing_key_name(device_id))?.as_str()?.to_owned())
}

/// Whether two objects are the same but for their signatures and what servers add.
pub(super) fn same_but_signatures(one: &Map<String, Value>, other: &Map<String, Value>) -> bool {
    let bare = |object: &Map<String, Value>| {
        let mut object = object.clone();
        object.remove("signatures");
        object.remove("unsigned");
        object
    };
    bare(one) == bare(other)
}
