//! This server's own keys, and what is signed with them for others.

use std::{collections::BTreeMap, sync::Arc};

use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, OwnedServerName, ServerName,
    api::federation::discovery::ServerSigningKeys, serde::Raw,
};
use serde_json::json;

use super::super::limits::OWN_KEYS_VALIDITY;
use crate::matrix::{
    SigningKey,
    canonical_json::{self, CanonicalJsonError},
    signing::{VerifyKey, sign_json},
};

/// This server's name and keys. Cheap to clone.
#[derive(Debug, Clone)]
pub struct OwnKeys(Arc<Keys>);

#[derive(Debug)]
struct Keys {
    server: OwnedServerName,
    active: SigningKey,
    public: BTreeMap<String, VerifyKey>,
}

impl OwnKeys {
    /// A server that signs with `active`.
    pub fn new(server: OwnedServerName, active: SigningKey) -> Self {
        let public = BTreeMap::from([(active.key_id().to_owned(), active.verify_key())]);
        Self(Arc::new(Keys { server, active, public }))
    }

    /// The server's name.
    pub fn server(&self) -> &ServerName {
        &self.0.server
    }

    /// The key that signs.
    pub fn active(&self) -> &SigningKey {
        &self.0.active
    }

    /// One of our public keys.
    pub fn verify_key(&self, key_id: &str) -> Option<VerifyKey> {
        self.0.public.get(key_id).copied()
    }

    /// The document of our keys, signed ([specification]).
    ///
    /// [specification]: https://spec.matrix.org/v1.19/server-server-api/#publishing-keys
    pub fn document(&self, now_ms: u64) -> Result<Raw<ServerSigningKeys>, CanonicalJsonError> {
        let validity = u64::try_from(OWN_KEYS_VALIDITY.as_millis()).unwrap_or(u64::MAX);
        let active = &self.0.active;
        let mut document = canonical_json::to_object(&json!({
            "server_name": self.0.server,
            "verify_keys": { active.key_id(): { "key": active.public_key_base64() } },
            "old_verify_keys": {},
            "valid_until_ts": now_ms.saturating_add(validity),
        }))?;
        self.sign(&mut document)
    }

    /// Another server's document with our signature besides, as a notary gives it.
    pub fn countersign(&self, json: &str) -> Result<Raw<ServerSigningKeys>, CanonicalJsonError> {
        let mut document = canonical_json::parse_object(json.as_bytes())?;
        self.sign(&mut document)
    }

    fn sign(&self, document: &mut CanonicalJsonObject) -> Result<Raw<ServerSigningKeys>, CanonicalJsonError> {
        sign_json(document, self.0.server.as_str(), &self.0.active)?;
        let value = CanonicalJsonValue::Object(document.clone());
        let raw = Raw::new(&value)?;
        Ok(raw.cast_unchecked())
    }
}
