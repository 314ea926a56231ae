//! A server's document of keys: read, and its signature checked.

use std::collections::BTreeMap;

use ruma::{MilliSecondsSinceUnixEpoch, OwnedServerName, ServerName};
use serde::Deserialize;

use super::{
    super::limits::{KEY_VALIDITY_MAX, KEYS_PER_SERVER_MAX},
    known::KnownKeys,
    millis, timestamp,
};
use crate::{
    matrix::{
        canonical_json,
        signing::{KeyLookup, VerifyKey, verify_json},
    },
    storage::records::{KeyDocumentRecord, ServerKeyRecord},
};

/// Why a document is not taken.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Not such a document.
    #[error("it is malformed: {0}")]
    Malformed(String),
    /// Of another server than the one asked for.
    #[error("it is of {0}")]
    OtherServer(OwnedServerName),
    /// Not signed as it must be.
    #[error(transparent)]
    Signature(#[from] crate::matrix::signing::SignatureError),
}

/// A document whose server's own signature is right.
#[derive(Debug)]
pub struct KeyDocument {
    /// The server.
    pub server: OwnedServerName,
    /// The keys by key ID.
    pub keys: BTreeMap<String, ServerKeyRecord>,
    /// The document itself.
    pub record: KeyDocumentRecord,
}

#[derive(Deserialize)]
struct Fields {
    server_name: OwnedServerName,
    verify_keys: BTreeMap<String, Key>,
    #[serde(default)]
    old_verify_keys: BTreeMap<String, OldKey>,
    valid_until_ts: MilliSecondsSinceUnixEpoch,
}

#[derive(Deserialize)]
struct Key {
    key: String,
}

#[derive(Deserialize)]
struct OldKey {
    key: String,
    expired_ts: MilliSecondsSinceUnixEpoch,
}

/// The keys within a document, which sign it.
struct Within<'a>(&'a BTreeMap<String, Key>);

impl KeyLookup for Within<'_> {
    fn verify_key(&self, _server: &ServerName, key_id: &str) -> Option<VerifyKey> {
        VerifyKey::from_base64(&self.0.get(key_id)?.key).ok()
    }
}

/// The keys of a notary.
struct OfNotary<'a>(&'a KnownKeys);

impl KeyLookup for OfNotary<'_> {
    fn verify_key(&self, _server: &ServerName, key_id: &str) -> Option<VerifyKey> {
        self.0.find(key_id, 0).map(|key| key.key)
    }
}

impl KeyDocument {
    /// Reads a document and checks that its server has signed it with one of the keys in it. No key counts for
    /// longer than a week from `now_ms`, whatever the document says.
    pub fn check(json: &str, now_ms: u64) -> Result<Self, DocumentError> {
        let malformed = |error: &dyn std::fmt::Display| DocumentError::Malformed(error.to_string());
        let object = canonical_json::parse_object(json.as_bytes()).map_err(|error| malformed(&error))?;
        let fields: Fields = serde_json::from_str(json).map_err(|error| malformed(&error))?;
        verify_json(&object, &fields.server_name, &Within(&fields.verify_keys))?;
        let limit = now_ms.saturating_add(u64::try_from(KEY_VALIDITY_MAX.as_millis()).unwrap_or(u64::MAX));
        let valid_until = timestamp(millis(fields.valid_until_ts).min(limit));
        let current = fields
            .verify_keys
            .into_iter()
            .map(|(id, key)| (id, ServerKeyRecord { key: key.key, valid_until, is_old: false }));
        let old = fields.old_verify_keys.into_iter().map(|(id, key)| {
            (id, ServerKeyRecord { key: key.key, valid_until: key.expired_ts, is_old: true })
        });
        let keys = old.chain(current).filter(|(id, key)| id.starts_with("ed25519:") && is_key(key));
        let mut keys: BTreeMap<_, _> = keys.collect();
        keep_newest(&mut keys);
        let record = KeyDocumentRecord { json: json.to_owned(), valid_until: fields.valid_until_ts };
        Ok(Self { server: fields.server_name, keys, record })
    }

    /// As [`check`](Self::check), for a document that must be of `server`.
    pub fn check_of(server: &ServerName, json: &str, now_ms: u64) -> Result<Self, DocumentError> {
        let document = Self::check(json, now_ms)?;
        if document.server == server {
            Ok(document)
        } else {
            Err(DocumentError::OtherServer(document.server))
        }
    }

    /// As [`check`](Self::check), for a document that `notary` must have signed too.
    pub fn check_notarised(
        notary: &ServerName,
        notary_keys: &KnownKeys,
        json: &str,
        now_ms: u64,
    ) -> Result<Self, DocumentError> {
        let object = canonical_json::parse_object(json.as_bytes())
            .map_err(|error| DocumentError::Malformed(error.to_string()))?;
        verify_json(&object, notary, &OfNotary(notary_keys))?;
        Self::check(json, now_ms)
    }
}

fn is_key(record: &ServerKeyRecord) -> bool {
    VerifyKey::from_base64(&record.key).is_ok()
}

/// Drops the keys that ended first, beyond what is kept of one server.
pub fn keep_newest(keys: &mut BTreeMap<String, ServerKeyRecord>) {
    while keys.len() > KEYS_PER_SERVER_MAX {
        let first_to_end = keys.iter().min_by_key(|(_, key)| key.valid_until).map(|(id, _)| id.clone());
        if let Some(id) = first_to_end {
            keys.remove(&id);
        }
    }
}
