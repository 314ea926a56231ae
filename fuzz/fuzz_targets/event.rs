//! Event parsing in every room version, with hashes, signatures and redaction.
//!
//! Input: a byte that chooses the room version, then the PDU.
#![no_main]

use std::{collections::BTreeMap, sync::LazyLock};

use conduit::matrix::{
    Event, SigningKey, auth_rules,
    canonical_json::{Strictness, canonicalize_object},
    client_format,
    limits::{PDU_BYTES_MAX, SIGNATURES_PER_SERVER_MAX},
    power_levels::{PowerLevels, RoomCreators},
    redaction, room_versions,
    signing::{self, SignatureError, Verified},
};
use libfuzzer_sys::fuzz_target;
use ruma::{OwnedServerName, room_version_rules::RoomVersionRules};

static RULES: LazyLock<Vec<RoomVersionRules>> = LazyLock::new(|| {
    let rules = room_versions::SUPPORTED.iter().map(room_versions::rules);
    rules.map(|rules| rules.expect("a supported version")).collect()
});
static KEY: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::from_seed([7; 32], "fuzz").expect("a good version"));

fuzz_target!(|input: &[u8]| {
    let Some((version, pdu)) = input.split_first() else { return };
    let rules = &RULES[usize::from(*version) % RULES.len()];
    let Ok(event) = Event::from_pdu(pdu, rules) else { return };
    check_text(&event, rules);
    read_all(&event, rules);
    check_redaction(&event, rules);
    check_signatures(&event, rules);
});

/// The text is canonical and reads as the same event again, from outside and from the store.
fn check_text(event: &Event, rules: &RoomVersionRules) {
    assert!(event.json().len() <= PDU_BYTES_MAX);
    let canonical = canonicalize_object(event.json().as_bytes(), Strictness::of(rules)).expect("canonical");
    assert_eq!(canonical, event.json());
    assert!(event.content_json().starts_with('{') && event.content_json().ends_with('}'));
    for again in [
        Event::from_pdu(event.json().as_bytes(), rules).expect("the same event"),
        Event::from_stored(event.event_id().to_owned(), event.json(), rules).expect("the same event"),
    ] {
        assert_same(event, &again);
        assert_eq!(event.json(), again.json());
    }
}

/// All but the text and the content.
fn assert_same(one: &Event, other: &Event) {
    assert_eq!(one.event_id(), other.event_id());
    assert_eq!(one.room_id(), other.room_id());
    assert_eq!(one.sender(), other.sender());
    assert_eq!(one.event_type(), other.event_type());
    assert_eq!(one.state_key(), other.state_key());
    assert_eq!(one.origin_server_ts(), other.origin_server_ts());
    assert_eq!(one.depth(), other.depth());
    assert_eq!(one.prev_events(), other.prev_events());
    assert_eq!(one.auth_events(), other.auth_events());
}

/// What the server reads of an event; none of it may panic.
fn read_all(event: &Event, rules: &RoomVersionRules) {
    let types = auth_rules::auth_types(
        event.event_type(),
        event.sender(),
        event.state_key(),
        event.content_json(),
        rules,
    );
    assert!(types.len() <= 7);
    let _ = (event.membership(), event.redacts(), event.timeline_event_type());
    let _ = PowerLevels::parse(event.content_json(), &rules.authorization);
    let _ = RoomCreators::of(event, &rules.authorization);
    let _ = room_versions::of_create_content(event.content_json());
    let _ = auth_rules::check_state_independent(event, rules, &[], None);
    let stripped = client_format::stripped_state(event).expect("JSON");
    serde_json::from_str::<serde::de::IgnoredAny>(stripped.get()).expect("JSON");
}

/// Redaction is idempotent and keeps the event's identity.
fn check_redaction(event: &Event, rules: &RoomVersionRules) {
    let redacted = redaction::redact(event, rules).expect("an event can be redacted");
    assert_same(event, &redacted);
    assert!(redacted.json().len() <= event.json().len());
    let twice = redaction::redact(&redacted, rules).expect("and again");
    assert_eq!(redacted.json(), twice.json());
    let received = Event::from_pdu(redacted.json().as_bytes(), rules).expect("a redacted event is an event");
    assert_eq!(received.event_id(), event.event_id());
    assert_eq!(
        event.reference_hash(rules).expect("hashable"),
        redacted.reference_hash(rules).expect("hashable")
    );
}

/// With the signatures of everybody who must sign, the event verifies, and so does what remains of it.
fn check_signatures(event: &Event, rules: &RoomVersionRules) {
    let Ok(servers) = signing::servers_that_must_sign(event, rules) else { return };
    let no_keys = BTreeMap::new();
    let unverified = signing::verify_event(event, rules, &no_keys);
    assert!(servers.is_empty() || unverified.is_err(), "verified without a key");
    let mut keys: BTreeMap<OwnedServerName, BTreeMap<String, _>> = BTreeMap::new();
    let mut signed = event.clone();
    for server in &servers {
        if signing::signing_keys(event, server).len() >= SIGNATURES_PER_SERVER_MAX {
            return;
        }
        // Signatures of another form than objects of objects can't be added to; a full event has no room.
        let Ok(next) = signing::countersign_event(&signed, rules, server, &KEY) else { return };
        signed = next;
        keys.insert(server.clone(), [(KEY.key_id().to_owned(), KEY.verify_key())].into());
    }
    assert_same(event, &signed);
    let verified = match signing::verify_event(&signed, rules, &keys) {
        Ok(verified) => verified,
        // Many keys of other algorithms may stand before ours.
        Err(SignatureError::NoKnownKey(_) | SignatureError::Malformed(_)) => return,
        // With a wrong hash it counts as what redaction leaves, which others may have to sign.
        Err(SignatureError::Unsigned(server)) if !servers.contains(&server) => return,
        Err(error) => panic!("signed by all, and yet: {error}"),
    };
    let redacted = redaction::redact(&signed, rules).expect("redactable");
    // Versions before 11 make an ordinary invite of a third party's, and its sender's server need not have signed.
    let signers = signing::servers_that_must_sign(&redacted, rules).expect("those of the event, or its sender's");
    if !signers.is_subset(&servers) {
        return;
    }
    assert!(signing::verify_event(&redacted, rules, &keys).is_ok(), "signatures cover what redaction keeps");
    if verified == Verified::Everything && redacted.json() != signed.json() {
        let outcome = signing::verify_event(&redacted, rules, &keys);
        assert_eq!(outcome, Ok(Verified::RedactedOnly), "the content hash covers all");
    }
    if let Some(server) = servers.first() {
        let other = SigningKey::from_seed([8; 32], "fuzz").expect("a good version");
        keys.entry(server.clone()).or_default().insert(other.key_id().to_owned(), other.verify_key());
        let outcome = signing::verify_event(&signed, rules, &keys);
        assert!(matches!(outcome, Err(SignatureError::Wrong { .. })), "another key's signature: {outcome:?}");
    }
}
