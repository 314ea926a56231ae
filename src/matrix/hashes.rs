//! Content hash, reference hash and event IDs ([specification]).
//!
//! All work on the canonical text of a PDU, so that they hold for events with numbers that a typed tree
//! can't keep (room versions 1 to 5).
//!
//! [specification]: https://spec.matrix.org/v1.19/server-server-api/#calculating-the-reference-hash-for-an-event

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use ring::digest::{SHA256, digest};
use ruma::room_version_rules::{EventIdFormatVersion, RoomVersionRules};

use super::{raw_object::RawObject, redaction::redact_object};

const UNPADDED: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_encode_padding(false)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);

/// Unpadded base64 with the standard alphabet; decoding accepts padding ([appendix]).
///
/// [appendix]: https://spec.matrix.org/v1.19/appendices/#unpadded-base64
pub const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, UNPADDED);

/// Unpadded base64 with the URL-safe alphabet; decoding accepts padding.
pub const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, UNPADDED);

/// A SHA-256 hash.
pub type Sha256 = [u8; 32];

/// SHA-256 of some bytes.
pub fn sha256(bytes: &[u8]) -> Sha256 {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

/// The hash over the whole event, content included, except `hashes`, `signatures` and `unsigned`.
pub(super) fn content_hash(object: &RawObject<'_>) -> Sha256 {
    let mut object = object.clone();
    object.retain(|key| !matches!(key, "hashes" | "signatures" | "unsigned"));
    sha256(object.to_json().as_bytes())
}

/// What signatures and the reference hash cover: the redacted event without `signatures` and
/// `unsigned`.
pub(super) fn essential_json(
    object: &RawObject<'_>,
    event_type: &str,
    rules: &RoomVersionRules,
) -> Result<String, serde_json::Error> {
    let mut object = object.clone();
    object.retain(|key| !matches!(key, "signatures" | "unsigned"));
    redact_object(&mut object, event_type, &rules.redaction)?;
    Ok(object.to_json())
}

/// The event ID made of a reference hash, for the versions whose event IDs are hashes; `None` for room
/// versions 1 and 2, whose events carry their ID.
pub(super) fn event_id_of_hash(hash: &Sha256, rules: &RoomVersionRules) -> Option<String> {
    match rules.event_id_format {
        EventIdFormatVersion::V1 => None,
        EventIdFormatVersion::V2 => Some(format!("${}", BASE64.encode(hash))),
        _ => Some(format!("${}", BASE64_URL.encode(hash))),
    }
}
