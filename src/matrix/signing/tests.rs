use ruma::{RoomVersionId, owned_server_name, server_name};
use serde_json::{Value, json};

use super::*;
use crate::matrix::{
    hashes::sha256,
    room_versions,
    test_rooms::{CREATOR, TestRoom, key, server},
};

fn keys_of(server: &str) -> ServerKeys {
    let keys = BTreeMap::from([(key().key_id().to_owned(), key().verify_key())]);
    BTreeMap::from([(server.try_into().unwrap(), keys)])
}

fn tree(value: Value) -> CanonicalJsonObject {
    canonical_json::to_object(&value).unwrap()
}

/// "JSON Signing" of the appendix.
#[test]
fn json_signing_vectors() {
    let mut empty = CanonicalJsonObject::new();
    sign_json(&mut empty, "domain", &key()).unwrap();
    assert_eq!(
        serde_json::to_value(&empty).unwrap(),
        json!({"signatures": {"domain": {"ed25519:1":
            "K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ"}}})
    );
    let mut data = tree(json!({"one": 1, "two": "Two"}));
    sign_json(&mut data, "domain", &key()).unwrap();
    assert_eq!(
        serde_json::to_value(&data).unwrap(),
        json!({"one": 1, "signatures": {"domain": {"ed25519:1":
            "KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw"}},
            "two": "Two"})
    );
    verify_json(&data, server_name!("domain"), &keys_of("domain")).unwrap();
}

/// "Event Signing" of the appendix: content hash and signature of both events.
#[test]
fn event_signing_vectors() {
    let rules = room_versions::rules(&RoomVersionId::V1).unwrap();
    for (event, event_type, hash, signature) in [
        (
            json!({"room_id": "!x:domain", "sender": "@a:domain", "origin": "domain",
                "origin_server_ts": 1_000_000, "signatures": {}, "hashes": {}, "type": "X", "content": {},
                "prev_events": [], "auth_events": [], "depth": 3, "unsigned": {"age_ts": 1_000_000}}),
            "X",
            "5jM4wQpv6lnBo7CLIghJuHdW+s2CMBJPUOGOC89ncos",
            "KxwGjPSDEtvnFgU00fwFz+l6d2pJM6XBIaMEn81SXPTRl16AqLAYqfIReFGZlHi5KLjAWbOoMszkwsQma+lYAg",
        ),
        (
            json!({"content": {"body": "Here is the message content"}, "event_id": "$0:domain",
                "origin": "domain", "origin_server_ts": 1_000_000, "type": "m.room.message",
                "room_id": "!r:domain", "sender": "@u:domain", "signatures": {},
                "unsigned": {"age_ts": 1_000_000}}),
            "m.room.message",
            "onLKD1bGljeBWQhWZ1kaP9SorVmRQNdN5aM2JYU2n/g",
            "Wm+VzmOUOz08Ds+0NTWb1d4CZrVsJSikkeRxh6aCcUwu6pNC78FunoD7KNWzqFn241eYHYMGCA5McEiVPdhzBA",
        ),
    ] {
        let json = canonical_json::to_string(&tree(event)).unwrap();
        let mut object = RawObject::parse(&json).unwrap();
        assert_eq!(BASE64.encode(content_hash(&object)), hash);
        object.insert("hashes", format!(r#"{{"sha256":"{hash}"}}"#));
        sign_event_object(&mut object, event_type, &rules, server_name!("domain"), &key()).unwrap();
        let signatures: Value = serde_json::from_str(object.get("signatures").unwrap()).unwrap();
        assert_eq!(signatures, json!({"domain": {"ed25519:1": signature}}));
    }
}

#[test]
fn a_key_survives_its_storage_form_and_hides_its_secret() {
    let stored = key().to_bytes();
    let read = SigningKey::from_bytes(&stored).unwrap();
    assert_eq!(read.key_id(), "ed25519:1");
    assert_eq!(read.public_key_base64(), key().public_key_base64());
    assert_eq!(read.sign(b"message"), key().sign(b"message"));
    assert_eq!(format!("{read:?}"), "SigningKey { key_id: \"ed25519:1\", .. }");
    assert_eq!(SigningKey::from_bytes(&stored[..20]).unwrap_err(), KeyError::Damaged);
    assert_eq!(SigningKey::from_bytes(&stored[..32]).unwrap_err(), KeyError::Version(String::new()));
    assert_eq!(SigningKey::from_seed([1; 32], "a:b").unwrap_err(), KeyError::Version("a:b".to_owned()));
}

#[test]
fn public_keys_are_read_with_and_without_padding() {
    let base64 = key().public_key_base64();
    assert_eq!(VerifyKey::from_base64(&base64).unwrap(), key().verify_key());
    assert_eq!(VerifyKey::from_base64(&format!("{base64}=")).unwrap(), key().verify_key());
    assert_eq!(VerifyKey::from_base64("AAAA").unwrap_err(), KeyError::PublicKey);
}

#[test]
fn built_events_verify_in_every_version_and_ruma_agrees() {
    for version in room_versions::SUPPORTED {
        let mut room = TestRoom::new(&version);
        room.put_join_rule("public");
        for event in &room.events {
            assert_eq!(
                verify_event(event, &room.rules, &keys_of("example.org")).unwrap(),
                Verified::Everything,
                "{version}"
            );
            let public = ruma::serde::Base64::new(key().verify_key().as_bytes().to_vec());
            let ruma_keys = BTreeMap::from([(
                "example.org".to_owned(),
                BTreeMap::from([("ed25519:1".to_owned(), public)]),
            )]);
            let verified =
                ruma::signatures::verify_event(&ruma_keys, &event.to_object().unwrap(), &room.rules).unwrap();
            assert_eq!(verified, ruma::signatures::Verified::All, "{version}");
        }
    }
}

#[test]
fn what_is_wrong_with_a_signature_is_told() {
    let room = TestRoom::new(&RoomVersionId::V11);
    let event = room.last.clone().unwrap();
    let server = owned_server_name!("example.org");
    let verify = |json: &str, keys: &ServerKeys| {
        let event = Event::from_stored(event.event_id().to_owned(), json, &room.rules).unwrap();
        verify_event(&event, &room.rules, keys)
    };
    let keys = keys_of("example.org");
    assert_eq!(verify(event.json(), &BTreeMap::new()), Err(SignatureError::NoKnownKey(server.clone())));

    let mut object = RawObject::parse(event.json()).unwrap();
    object.insert("signatures", "{}");
    assert_eq!(verify(&object.to_json(), &keys), Err(SignatureError::Unsigned(server.clone())));

    // A changed field that redaction keeps.
    let mut object = RawObject::parse(event.json()).unwrap();
    object.insert("depth", "77");
    let wrong = SignatureError::Wrong { server, key_id: "ed25519:1".to_owned() };
    assert_eq!(verify(&object.to_json(), &keys), Err(wrong));

    // A changed field that redaction removes breaks the content hash only.
    let mut object = RawObject::parse(event.json()).unwrap();
    object.insert("content", r#"{"displayname":"Mallory","membership":"join"}"#);
    assert_eq!(verify(&object.to_json(), &keys), Ok(Verified::RedactedOnly));
}

#[test]
fn malformed_signatures_of_others_do_not_matter() {
    let room = TestRoom::new(&RoomVersionId::V11);
    let event = room.last.clone().unwrap();
    let mut object = RawObject::parse(event.json()).unwrap();
    let mut signatures: Value = serde_json::from_str(object.get("signatures").unwrap()).unwrap();
    signatures["other.example"] = json!(5);
    signatures["example.org"]["foo:1"] = json!([]);
    signatures["example.org"]["ed25519:unknown"] = json!("AAAA");
    object.insert("signatures", signatures.to_string());
    let event = Event::from_stored(event.event_id().to_owned(), &object.to_json(), &room.rules).unwrap();
    assert_eq!(verify_event(&event, &room.rules, &keys_of("example.org")), Ok(Verified::Everything));
}

#[test]
fn who_must_sign() {
    let servers = |version: &RoomVersionId, content: Value| {
        let room = TestRoom::new(version);
        let draft = room.draft("@bob:bob.example", "m.room.member", Some("@bob:bob.example"), content);
        let event = room.build(draft);
        let servers = servers_that_must_sign(&event, &room.rules).unwrap();
        servers.into_iter().map(String::from).collect::<Vec<_>>()
    };
    let join = json!({"membership": "join", "join_authorised_via_users_server": "@a:via.example"});
    let invite = json!({"membership": "invite", "third_party_invite": {}});
    assert_eq!(servers(&RoomVersionId::V1, join.clone()), ["bob.example", "example.org"]);
    assert_eq!(servers(&RoomVersionId::V3, join.clone()), ["bob.example"]);
    assert_eq!(servers(&RoomVersionId::V8, join.clone()), ["bob.example", "via.example"]);
    assert_eq!(servers(&RoomVersionId::V12, join), ["bob.example", "via.example"]);
    assert_eq!(servers(&RoomVersionId::V12, invite), Vec::<String>::new());
    let malformed = json!({"membership": "join", "join_authorised_via_users_server": 5});
    let room = TestRoom::new(&RoomVersionId::V8);
    let event = room.build(room.draft(CREATOR, "m.room.member", Some(CREATOR), malformed));
    assert!(matches!(servers_that_must_sign(&event, &room.rules), Err(SignatureError::Malformed(_))));
}

/// A third-party invite needs no signature of its sender's server. With a wrong content hash it would go on as the
/// ordinary invite that redaction makes of it, which does.
#[test]
fn a_third_party_invite_with_a_wrong_hash_needs_its_senders_signature() {
    for version in room_versions::SUPPORTED {
        let room = TestRoom::new(&version);
        for third_party in [json!({"signed": {}}), json!(5)] {
            let content = json!({"membership": "invite", "third_party_invite": third_party});
            let invite =
                room.build(room.draft(CREATOR, "m.room.member", Some("@evil:evil.example"), content));
            let mut object = RawObject::parse(invite.json()).unwrap();
            object.insert("hashes", r#"{"sha256":"AAAA"}"#);
            let signed = Event::from_canonical(&object.to_json(), &room.rules).unwrap();
            object.insert("signatures", "{}");
            let forged = Event::from_canonical(&object.to_json(), &room.rules).unwrap();
            let remains = redact(&forged, &room.rules).unwrap();
            let is_ordinary = remains.content_field::<Value>("third_party_invite").is_none();
            let verified = verify_event(&forged, &room.rules, &keys_of("example.org"));
            if is_ordinary || room.rules.signatures.check_event_id_server {
                let server = owned_server_name!("example.org");
                assert_eq!(verified, Err(SignatureError::Unsigned(server)), "{version}");
            } else {
                assert_eq!(verified, Ok(Verified::RedactedOnly), "{version}");
            }
            // The signature covers what redaction keeps, the hash included.
            let verified = verify_event(&signed, &room.rules, &keys_of("example.org"));
            assert!(verified.is_err() || !is_ordinary, "{version}");
        }
    }
}

#[test]
fn countersigning_adds_a_signature_and_keeps_the_rest() {
    let room = TestRoom::new(&RoomVersionId::V12);
    let event = room.last.clone().unwrap();
    let other = server_name!("other.example");
    let signed = countersign_event(&event, &room.rules, other, &key()).unwrap();
    assert_eq!(signed.event_id(), event.event_id());
    let mut keys = keys_of("other.example");
    keys.extend(keys_of("example.org"));
    assert_eq!(verify_event(&signed, &room.rules, &keys), Ok(Verified::Everything));
    let object = signed.to_object().unwrap();
    verify_event_has(&object, other.as_str());
    verify_event_has(&object, server().as_str());
}

fn verify_event_has(object: &CanonicalJsonObject, server: &str) {
    let signatures = serde_json::to_value(&object["signatures"]).unwrap();
    assert!(signatures[server]["ed25519:1"].is_string(), "{server}: {signatures}");
}

#[test]
fn sha256_of_the_empty_string() {
    assert_eq!(BASE64.encode(sha256(b"")), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU");
}
