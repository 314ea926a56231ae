//! Signing keys, and signatures on events and other JSON ([specification]).
//!
//! [`SigningKey`] is this server's key; [`VerifyKey`] is anybody's public key. [`verify_event`] checks
//! the signatures and the content hash of an event against keys that the caller has fetched; it never
//! fetches one, and never decides whether a key was valid at the time of the event: the caller leaves
//! keys out that were not (room versions 5 and later, `RoomVersionRules::enforce_key_validity`).
//!
//! [specification]: https://spec.matrix.org/v1.19/appendices/#signing-json

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use ed25519_dalek::{Signature, Signer, Verifier};
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, OwnedServerName, OwnedUserId, ServerName,
    room_version_rules::RoomVersionRules,
};
use serde::Deserialize;

use super::{
    canonical_json::{self, CanonicalJsonError},
    event::{Event, EventFormatError},
    hashes::{BASE64, content_hash, essential_json},
    limits::SIGNATURES_PER_SERVER_MAX,
    raw_object::RawObject,
    redaction::redact,
};

/// Bytes of a secret ed25519 seed and of a public key.
pub const KEY_BYTES: usize = 32;

/// The prefix of the key IDs that this server makes and understands.
const ED25519: &str = "ed25519:";

/// A stored signing key that can't be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// The version of a key ID has other characters than `a-z A-Z 0-9 _`, or none.
    #[error("{0:?} is not a key version: letters, digits and underscores are allowed")]
    Version(String),
    /// Fewer bytes than a seed, or a version that is not text.
    #[error("the stored signing key is damaged")]
    Damaged,
    /// Not a point of the curve.
    #[error("the public key is not an ed25519 key")]
    PublicKey,
}

/// This server's ed25519 key pair with its key ID. It never prints its secret.
#[derive(Clone)]
pub struct SigningKey {
    key: ed25519_dalek::SigningKey,
    key_id: String,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// A key made of 32 random bytes, and a version, which makes the key ID `ed25519:<version>`. The
    /// version must be new for every new key of a server.
    pub fn from_seed(seed: [u8; KEY_BYTES], version: &str) -> Result<Self, KeyError> {
        if version.is_empty() || !version.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(KeyError::Version(version.to_owned()));
        }
        let key = ed25519_dalek::SigningKey::from_bytes(&seed);
        Ok(Self { key, key_id: format!("{ED25519}{version}") })
    }

    /// The bytes to store: the seed, then the version. They are the secret itself.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.key.to_bytes().to_vec();
        bytes.extend_from_slice(self.version().as_bytes());
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let (seed, version) = bytes.split_first_chunk::<KEY_BYTES>().ok_or(KeyError::Damaged)?;
        let version = std::str::from_utf8(version).map_err(|_| KeyError::Damaged)?;
        Self::from_seed(*seed, version)
    }

    /// The key ID, such as `ed25519:abcd`.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The part of the key ID after the colon.
    pub fn version(&self) -> &str {
        self.key_id.strip_prefix(ED25519).unwrap_or_default()
    }

    /// The public key.
    pub fn verify_key(&self) -> VerifyKey {
        VerifyKey(self.key.verifying_key())
    }

    /// The public key in unpadded base64, as `/_matrix/key/v2/server` publishes it.
    pub fn public_key_base64(&self) -> String {
        BASE64.encode(self.key.verifying_key().as_bytes())
    }

    /// The signature over some bytes, in unpadded base64.
    pub fn sign(&self, message: &[u8]) -> String {
        BASE64.encode(self.key.sign(message).to_bytes())
    }
}

/// A public ed25519 key, ready for use: parsing one costs about as much as a tenth of a verification,
/// so keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyKey(ed25519_dalek::VerifyingKey);

impl VerifyKey {
    /// A key from its 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let bytes: &[u8; KEY_BYTES] = bytes.try_into().map_err(|_| KeyError::PublicKey)?;
        ed25519_dalek::VerifyingKey::from_bytes(bytes).map(Self).map_err(|_| KeyError::PublicKey)
    }

    /// A key from base64, with or without padding.
    pub fn from_base64(text: &str) -> Result<Self, KeyError> {
        Self::from_bytes(&BASE64.decode(text).map_err(|_| KeyError::PublicKey)?)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        self.0.as_bytes()
    }

    /// Whether `signature`, in base64, is this key's over `message`.
    pub fn verifies(&self, message: &[u8], signature: &str) -> bool {
        BASE64
            .decode(signature)
            .ok()
            .and_then(|bytes| Signature::from_slice(&bytes).ok())
            .is_some_and(|signature| self.0.verify(message, &signature).is_ok())
    }
}

/// Public keys that the caller knows, by server and key ID.
pub trait KeyLookup {
    /// The key, if it is known and was valid when the event in question was sent.
    fn verify_key(&self, server: &ServerName, key_id: &str) -> Option<VerifyKey>;
}

/// Keys by server, then by key ID.
pub type ServerKeys = BTreeMap<OwnedServerName, BTreeMap<String, VerifyKey>>;

impl KeyLookup for ServerKeys {
    fn verify_key(&self, server: &ServerName, key_id: &str) -> Option<VerifyKey> {
        self.get(server)?.get(key_id).copied()
    }
}

/// Why signatures don't hold: check 2 on receipt of a PDU, which drops it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignatureError {
    /// The signatures, or the fields that say who must sign, are malformed.
    #[error("the signatures are malformed: {0}")]
    Malformed(String),
    /// A server that must have signed has no signature on it at all.
    #[error("{0} has not signed it")]
    Unsigned(OwnedServerName),
    /// It has, but only with keys that we don't know: the caller may fetch them and try again.
    #[error("none of the keys that {0} signed it with is known and valid")]
    NoKnownKey(OwnedServerName),
    /// A signature by a known key is wrong.
    #[error("the signature of {server} with key {key_id} is wrong")]
    Wrong {
        /// Whose.
        server: OwnedServerName,
        /// Which.
        key_id: String,
    },
}

/// How much of a signed event is authentic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// All of it.
    Everything,
    /// The content hash differs, so only what redaction keeps is authentic: the caller goes on with
    /// the redacted event (check 3 on receipt of a PDU).
    RedactedOnly,
}

/// Signatures as they stand in JSON: by server, then by key ID.
type Signatures = BTreeMap<String, serde_json::Value>;

/// Checks the signatures of every server that must have signed the event, and its content hash.
pub fn verify_event(
    event: &Event,
    rules: &RoomVersionRules,
    keys: &impl KeyLookup,
) -> Result<Verified, SignatureError> {
    let malformed = |error: serde_json::Error| SignatureError::Malformed(error.to_string());
    let object = RawObject::parse(event.json()).map_err(malformed)?;
    let signed = essential_json(&object, event.event_type(), rules).map_err(malformed)?;
    let signatures: Signatures =
        serde_json::from_str(object.get("signatures").unwrap_or_default()).map_err(malformed)?;
    let must_sign = servers_that_must_sign(event, rules)?;
    for server in &must_sign {
        verify_signatures_of(server, &signatures, signed.as_bytes(), keys)?;
    }
    let claimed = object.get("hashes").and_then(claimed_content_hash);
    if claimed.is_some_and(|claimed| claimed == content_hash(&object)) {
        return Ok(Verified::Everything);
    }
    // What goes on is another event, which others may have to have signed: redaction makes an ordinary invite of
    // a third-party one, and who sends that is not told by anything but the signature.
    let redacted = redact(event, rules).map_err(|error| SignatureError::Malformed(error.to_string()))?;
    for server in servers_that_must_sign(&redacted, rules)?.difference(&must_sign) {
        verify_signatures_of(server, &signatures, signed.as_bytes(), keys)?;
    }
    Ok(Verified::RedactedOnly)
}

/// The hash in the `hashes` object of an event.
fn claimed_content_hash(hashes: &str) -> Option<Vec<u8>> {
    #[derive(Deserialize)]
    struct Hashes {
        sha256: String,
    }
    BASE64.decode(serde_json::from_str::<Hashes>(hashes).ok()?.sha256).ok()
}

/// The servers whose signature an event needs ([specification]): the sender's, unless the event is a
/// third-party invite; in room versions 1 and 2 that of the event ID; and for a restricted join the one
/// that let the user in (rule 4.2 of room version 8).
///
/// [specification]: https://spec.matrix.org/v1.19/server-server-api/#validating-hashes-and-signatures-on-received-events
pub fn servers_that_must_sign(
    event: &Event,
    rules: &RoomVersionRules,
) -> Result<BTreeSet<OwnedServerName>, SignatureError> {
    #[derive(Deserialize)]
    struct MemberContent {
        membership: Option<serde_json::Value>,
        third_party_invite: Option<serde::de::IgnoredAny>,
        join_authorised_via_users_server: Option<serde_json::Value>,
    }
    let mut servers = BTreeSet::new();
    let mut sender_must_sign = true;
    if event.event_type() == "m.room.member" {
        let malformed = |error: serde_json::Error| SignatureError::Malformed(error.to_string());
        let content: MemberContent = event.content().map_err(malformed)?;
        let is_invite = content.membership.is_some_and(|membership| membership == "invite");
        sender_must_sign = !is_invite || content.third_party_invite.is_none();
        if rules.signatures.check_join_authorised_via_users_server
            && let Some(user) = content.join_authorised_via_users_server
        {
            let user: OwnedUserId = serde_json::from_value(user).map_err(malformed)?;
            servers.insert(user.server_name().to_owned());
        }
    }
    if sender_must_sign {
        servers.insert(event.sender().server_name().to_owned());
    }
    if rules.signatures.check_event_id_server
        && let Some(server) = event.event_id().server_name()
    {
        servers.insert(server.to_owned());
    }
    Ok(servers)
}

/// The IDs of the ed25519 keys that `server` has signed an event with, as far as they are looked at; the caller
/// makes sure that one of them is known before it verifies the event.
pub fn signing_keys(event: &Event, server: &ServerName) -> Vec<String> {
    let signatures = RawObject::parse(event.json())
        .ok()
        .and_then(|object| serde_json::from_str::<Signatures>(object.get("signatures")?).ok());
    let of_server = signatures.as_ref().and_then(|all| all.get(server.as_str())?.as_object());
    let key_ids = of_server.into_iter().flat_map(|keys| keys.keys().take(SIGNATURES_PER_SERVER_MAX));
    key_ids.filter(|key_id| key_id.starts_with(ED25519)).cloned().collect()
}

/// Checks that `server` has signed, that at least one of its keys is known, and that every signature
/// by a known key is right.
fn verify_signatures_of(
    server: &ServerName,
    signatures: &Signatures,
    message: &[u8],
    keys: &impl KeyLookup,
) -> Result<(), SignatureError> {
    let signatures = signatures
        .get(server.as_str())
        .and_then(serde_json::Value::as_object)
        .ok_or_else(|| SignatureError::Unsigned(server.to_owned()))?;
    let mut verified = false;
    for (key_id, signature) in signatures.iter().take(SIGNATURES_PER_SERVER_MAX) {
        if !key_id.starts_with(ED25519) {
            continue;
        }
        let Some(key) = keys.verify_key(server, key_id) else { continue };
        if !signature.as_str().is_some_and(|signature| key.verifies(message, signature)) {
            return Err(SignatureError::Wrong { server: server.to_owned(), key_id: key_id.clone() });
        }
        verified = true;
    }
    if verified { Ok(()) } else { Err(SignatureError::NoKnownKey(server.to_owned())) }
}

/// Adds `server`'s signature to an event that others have signed (a restricted join, an invite).
pub fn countersign_event(
    event: &Event,
    rules: &RoomVersionRules,
    server: &ServerName,
    key: &SigningKey,
) -> Result<Event, EventFormatError> {
    let mut object = RawObject::parse(event.json())?;
    sign_event_object(&mut object, event.event_type(), rules, server, key)?;
    let event = Event::from_stored(event.event_id().to_owned(), &object.to_json(), rules)?;
    if event.json().len() > super::limits::PDU_BYTES_MAX {
        return Err(EventFormatError::TooLarge(event.json().len()));
    }
    Ok(event)
}

/// Signs the event in `object` and puts the signature in.
pub(super) fn sign_event_object(
    object: &mut RawObject<'_>,
    event_type: &str,
    rules: &RoomVersionRules,
    server: &ServerName,
    key: &SigningKey,
) -> Result<(), serde_json::Error> {
    let signature = key.sign(essential_json(object, event_type, rules)?.as_bytes());
    let mut signatures = RawObject::parse(object.get("signatures").unwrap_or("{}"))?;
    let mut of_server = RawObject::parse(signatures.get(server.as_str()).unwrap_or("{}"))?;
    of_server.insert_string(key.key_id(), &signature);
    let of_server = of_server.to_json();
    signatures.insert(server.as_str(), of_server);
    let signatures = signatures.to_json();
    object.insert("signatures", signatures);
    Ok(())
}

/// Signs any JSON object that is not an event (a request to another server, our key document), and
/// puts the signature in. `unsigned` and existing signatures are kept and not covered.
pub fn sign_json(
    object: &mut CanonicalJsonObject,
    entity: &str,
    key: &SigningKey,
) -> Result<(), CanonicalJsonError> {
    let signature = key.sign(json_to_sign(object)?.as_bytes());
    let signatures = object
        .entry("signatures".to_owned())
        .or_insert_with(|| CanonicalJsonValue::Object(CanonicalJsonObject::new()));
    let CanonicalJsonValue::Object(signatures) = signatures else {
        return Err(CanonicalJsonError::NotAnObject);
    };
    let of_entity = signatures
        .entry(entity.to_owned())
        .or_insert_with(|| CanonicalJsonValue::Object(CanonicalJsonObject::new()));
    let CanonicalJsonValue::Object(of_entity) = of_entity else {
        return Err(CanonicalJsonError::NotAnObject);
    };
    of_entity.insert(key.key_id().to_owned(), CanonicalJsonValue::String(signature));
    Ok(())
}

/// Checks a server's signatures on any JSON object that is not an event.
pub fn verify_json(
    object: &CanonicalJsonObject,
    server: &ServerName,
    keys: &impl KeyLookup,
) -> Result<(), SignatureError> {
    let malformed = |error: &dyn std::fmt::Display| SignatureError::Malformed(error.to_string());
    let signatures = object.get("signatures").ok_or_else(|| SignatureError::Unsigned(server.to_owned()))?;
    let signatures = serde_json::to_string(signatures).map_err(|error| malformed(&error))?;
    let signatures: Signatures = serde_json::from_str(&signatures).map_err(|error| malformed(&error))?;
    let message = json_to_sign(object).map_err(|error| malformed(&error))?;
    verify_signatures_of(server, &signatures, message.as_bytes(), keys)
}

/// The canonical text of an object without `signatures` and `unsigned`.
pub fn json_to_sign(object: &CanonicalJsonObject) -> Result<String, CanonicalJsonError> {
    let json = canonical_json::to_string(object)?;
    let mut object = RawObject::parse(&json)?;
    object.retain(|key| !matches!(key, "signatures" | "unsigned"));
    Ok(object.to_json())
}

#[cfg(test)]
mod tests;
