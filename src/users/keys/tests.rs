use std::collections::BTreeSet;

use ruma::{OwnedDeviceId, device_id, user_id};
use serde_json::{Value, json, value::to_raw_value};

use super::*;
use crate::{
    matrix::{
        canonical_json,
        signing::{SigningKey, json_to_sign},
    },
    storage::{Direction, Read, tables},
    users::{
        UserError,
        fixture::{Fixture, TestUser},
        limits,
    },
};

fn device_keys(user: &TestUser, key: &str) -> Value {
    let device = &user.device_id;
    json!({
        "user_id": user.user_id, "device_id": device, "algorithms": ["m.olm.v1.curve25519-aes-sha2"],
        "keys": { format!("ed25519:{device}"): key, format!("curve25519:{device}"): "c" }, "signatures": {},
    })
}

fn named(name: &str, key: Value) -> NamedKey {
    NamedKey::new(name, to_raw_value(&key).unwrap()).unwrap()
}

fn upload(server: &Fixture, user: &TestUser, keys: &KeyUpload) -> Result<u64, UserError> {
    let counts = server.keys.upload(&user.user_id, user.user, &user.device_id, keys)?;
    Ok(counts.get("signed_curve25519").copied().unwrap_or_default())
}

fn one_time_keys(ids: &[&str]) -> KeyUpload {
    let keys = ids.iter().map(|id| named(&format!("signed_curve25519:{id}"), json!({ "key": id })));
    KeyUpload { one_time_keys: keys.collect(), ..KeyUpload::default() }
}

fn claim(server: &Fixture, user: &TestUser) -> Option<String> {
    let wanted = [(user.device_id.clone(), "signed_curve25519".to_owned())];
    let claimed = server.keys.claim(&[(user.user_id.clone(), wanted.into())].into()).unwrap();
    Some(claimed.get(&user.user_id)?.get(&user.device_id)?.keys().next()?.clone())
}

fn changes(server: &Fixture) -> u64 {
    server.storage.durable_blocking().unwrap();
    server.storage.position().0
}

fn queried(server: &Fixture, user: &TestUser, by: KeyQuery<'_>) -> Value {
    let found = server.keys.query(&user.user_id, &[], by).unwrap();
    let parse = |key: &serde_json::value::RawValue| serde_json::from_str::<Value>(key.get()).unwrap();
    json!({
        "devices": found.devices.iter().map(|(id, keys)| (id.to_string(), parse(keys))).collect::<serde_json::Map<_, _>>(),
        "master": found.master.as_deref().map(parse),
        "self_signing": found.self_signing.as_deref().map(parse),
        "user_signing": found.user_signing.as_deref().map(parse),
    })
}

#[test]
fn an_upload_made_again_brings_no_key_back_that_was_given_out() {
    let server = Fixture::new();
    let alice = server.user("alice");
    upload(&server, &alice, &one_time_keys(&["1", "2"])).unwrap();
    assert_eq!(claim(&server, &alice).as_deref(), Some("signed_curve25519:1"));
    assert_eq!(upload(&server, &alice, &one_time_keys(&["1", "2", "3"])).unwrap(), 2);
    let another = KeyUpload {
        one_time_keys: vec![named("signed_curve25519:1", json!({ "key": "another" }))],
        ..KeyUpload::default()
    };
    assert_eq!(upload(&server, &alice, &another).unwrap(), 3, "the device has begun anew");
    let keys: Vec<_> = std::iter::from_fn(|| claim(&server, &alice)).take(4).collect();
    assert_eq!(keys, ["signed_curve25519:2", "signed_curve25519:3", "signed_curve25519:1"]);
    // What is remembered is bounded.
    for n in 0..limits::GIVEN_KEYS_REMEMBERED {
        upload(&server, &alice, &one_time_keys(&[&format!("n{n}")])).unwrap();
        claim(&server, &alice).unwrap();
    }
    assert_eq!(upload(&server, &alice, &one_time_keys(&["2"])).unwrap(), 1);
    assert_eq!(upload(&server, &alice, &one_time_keys(&["n0"])).unwrap(), 1);
    server.sessions.end(alice.user, &alice.device_id).unwrap();
    let rows = crate::storage::tables::GIVEN_KEYS;
    assert_eq!(server.storage.scan(&rows, &rows.all(), Direction::Forward).count(), 0);
}

#[test]
fn one_time_keys_are_given_out_once_and_in_order() {
    let server = Fixture::new();
    let alice = server.user("alice");
    assert_eq!(upload(&server, &alice, &one_time_keys(&["9", "8"])).unwrap(), 2);
    assert_eq!(upload(&server, &alice, &one_time_keys(&["1", "9"])).unwrap(), 3, "repeated ones are there");
    let other = KeyUpload {
        one_time_keys: vec![named("signed_curve25519:8", json!({ "key": "another" }))],
        ..KeyUpload::default()
    };
    assert!(matches!(upload(&server, &alice, &other), Err(UserError::OneTimeKeyExists(_))));
    let first_two: BTreeSet<_> = [claim(&server, &alice), claim(&server, &alice)].into();
    let expected = ["signed_curve25519:8", "signed_curve25519:9"].map(|name| Some(name.to_owned()));
    assert_eq!(first_two, expected.into());
    assert_eq!(upload(&server, &alice, &one_time_keys(&["0"])).unwrap(), 2);
    assert_eq!(claim(&server, &alice).as_deref(), Some("signed_curve25519:1"));
    assert_eq!(claim(&server, &alice).as_deref(), Some("signed_curve25519:0"));
    assert_eq!(claim(&server, &alice), None);
    assert_eq!(upload(&server, &alice, &KeyUpload::default()).unwrap(), 0);
}

#[test]
fn fallback_keys_stay_and_say_that_they_were_used() {
    let server = Fixture::new();
    let alice = server.user("alice");
    let fallback = |id: &str| KeyUpload {
        fallback_keys: vec![named(
            &format!("signed_curve25519:{id}"),
            json!({ "fallback": true, "key": id }),
        )],
        ..KeyUpload::default()
    };
    let unused = || server.keys.stock(alice.user, &alice.device_id).unwrap().1;
    upload(&server, &alice, &fallback("f")).unwrap();
    upload(&server, &alice, &one_time_keys(&["1"])).unwrap();
    assert_eq!(unused(), ["signed_curve25519"]);
    assert_eq!(claim(&server, &alice).as_deref(), Some("signed_curve25519:1"));
    for _ in 0..2 {
        assert_eq!(claim(&server, &alice).as_deref(), Some("signed_curve25519:f"));
        assert!(unused().is_empty());
        upload(&server, &alice, &fallback("f")).unwrap();
    }
    assert!(unused().is_empty(), "the same key again is a used one");
    upload(&server, &alice, &fallback("g")).unwrap();
    assert_eq!(unused(), ["signed_curve25519"]);
}

#[test]
fn no_device_has_more_keys_than_its_bound() {
    let server = Fixture::new();
    let alice = server.user("alice");
    let ids: Vec<_> = (0..=limits::ONE_TIME_KEYS_PER_DEVICE_MAX).map(|n| n.to_string()).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    assert!(matches!(upload(&server, &alice, &one_time_keys(&ids)), Err(UserError::TooLarge { .. })));
    assert_eq!(claim(&server, &alice), None, "nothing was written");
    upload(&server, &alice, &one_time_keys(&ids[1..])).unwrap();
}

#[test]
fn identity_keys_must_be_the_devices_own_and_move_the_stream_when_new() {
    let server = Fixture::new();
    let (alice, bob) = (server.user("alice"), server.user("bob"));
    let of =
        |keys: Value| KeyUpload { device_keys: Some(to_raw_value(&keys).unwrap()), ..KeyUpload::default() };
    assert!(matches!(upload(&server, &alice, &of(device_keys(&bob, "k"))), Err(UserError::KeysOfAnother)));
    let broken = of(json!({ "user_id": alice.user_id, "device_id": alice.device_id }));
    assert!(matches!(upload(&server, &alice, &broken), Err(UserError::BadKeys(_))));
    let before = changes(&server);
    upload(&server, &alice, &of(device_keys(&alice, "k"))).unwrap();
    let after = changes(&server);
    assert!(after > before);
    upload(&server, &alice, &of(device_keys(&alice, "k"))).unwrap();
    assert_eq!(changes(&server), after, "the same again is no change");
    server.devices.rename(alice.user, &alice.device_id, Some("Phone".to_owned())).unwrap();
    assert!(changes(&server) > after, "others see the name");
    let shown = queried(&server, &alice, KeyQuery::User(&bob.user_id));
    let mut expected = device_keys(&alice, "k");
    assert_eq!(queried(&server, &alice, KeyQuery::Server)["devices"][alice.device_id.as_str()], expected);
    expected["unsigned"] = json!({ "device_display_name": "Phone" });
    assert_eq!(shown["devices"][alice.device_id.as_str()], expected);
    assert_eq!(queried(&server, &bob, KeyQuery::User(&alice.user_id))["devices"], json!({}));
}

#[test]
fn a_device_takes_its_keys_with_it() {
    let server = Fixture::new();
    let alice = server.user("alice");
    let keys = to_raw_value(&device_keys(&alice, "k")).unwrap();
    let all = KeyUpload { device_keys: Some(keys), ..one_time_keys(&["1"]) };
    upload(&server, &alice, &all).unwrap();
    let before = changes(&server);
    server.sessions.end(alice.user, &alice.device_id).unwrap();
    assert!(changes(&server) > before);
    assert_eq!(queried(&server, &alice, KeyQuery::Server)["devices"], json!({}));
    assert_eq!(claim(&server, &alice), None);
    assert!(matches!(upload(&server, &alice, &all), Err(UserError::UnknownDevice(_))));
}

/// A key pair with the name that signatures give it.
struct KeyPair {
    name: String,
    key: SigningKey,
}

impl KeyPair {
    /// A cross-signing key, named after its public part.
    fn new(seed: u8) -> Self {
        let key = SigningKey::from_seed([seed; 32], "x").unwrap();
        Self { name: format!("ed25519:{}", key.public_key_base64()), key }
    }

    fn of_device(seed: u8, device: &str) -> Self {
        Self { name: format!("ed25519:{device}"), ..Self::new(seed) }
    }

    fn public(&self) -> String {
        self.key.public_key_base64()
    }
}

/// A user's cross-signing keys, and the device's.
struct Signer {
    master: KeyPair,
    own: KeyPair,
    others: KeyPair,
    device: KeyPair,
}

fn signed(mut object: Value, user: &TestUser, with: &[&KeyPair]) -> Value {
    let message = json_to_sign(&canonical_json::to_object(&object).unwrap()).unwrap();
    for pair in with {
        object["signatures"][user.user_id.as_str()][&pair.name] = pair.key.sign(message.as_bytes()).into();
    }
    object
}

impl Signer {
    fn new(user: &TestUser, seed: u8) -> Self {
        Self {
            master: KeyPair::new(seed),
            own: KeyPair::new(seed + 1),
            others: KeyPair::new(seed + 2),
            device: KeyPair::of_device(seed + 3, user.device_id.as_str()),
        }
    }

    fn object(&self, user: &TestUser, usage: &str) -> Value {
        let (key, with): (_, &[&KeyPair]) = match usage {
            "master" => (&self.master, &[]),
            "self_signing" => (&self.own, &[&self.master]),
            _ => (&self.others, &[&self.master]),
        };
        let public = key.public();
        let object = json!({ "user_id": user.user_id, "usage": [usage], "keys": { format!("ed25519:{public}"): public } });
        signed(object, user, with)
    }

    fn upload(&self, user: &TestUser) -> CrossSigningUpload {
        let raw = |usage| Some(to_raw_value(&self.object(user, usage)).unwrap());
        CrossSigningUpload {
            master: raw("master"),
            self_signing: raw("self_signing"),
            user_signing: raw("user_signing"),
        }
    }

    fn set_up(server: &Fixture, user: &TestUser, seed: u8) -> Self {
        let signer = Self::new(user, seed);
        server.keys.upload_cross_signing(&user.user_id, user.user, &signer.upload(user), false).unwrap();
        let keys = device_keys(user, &signer.device.public());
        let device_keys = Some(to_raw_value(&signed(keys, user, &[&signer.device])).unwrap());
        upload(server, user, &KeyUpload { device_keys, ..KeyUpload::default() }).unwrap();
        signer
    }
}

fn upload_signed(
    server: &Fixture,
    user: &TestUser,
    owner: &TestUser,
    id: &str,
    object: &Value,
) -> UploadedSignatures {
    let by_id = [(id.to_owned(), to_raw_value(object).unwrap())].into();
    server.keys.upload_signatures(&user.user_id, user.user, &[(owner.user_id.clone(), by_id)].into()).unwrap()
}

#[test]
fn first_cross_signing_keys_need_no_proof_and_others_do() {
    let server = Fixture::new();
    let alice = server.user("alice");
    let upload_keys = |signer: &Signer, proof| {
        server.keys.upload_cross_signing(&alice.user_id, alice.user, &signer.upload(&alice), proof)
    };
    let change = |signer: &Signer| {
        server.keys.cross_signing_change(&alice.user_id, alice.user, &signer.upload(&alice)).unwrap()
    };
    let (first, second) = (Signer::new(&alice, 10), Signer::new(&alice, 20));
    assert_eq!(change(&first), NewKeys::First);
    upload_keys(&first, false).unwrap();
    assert_eq!((change(&first), change(&second)), (NewKeys::None, NewKeys::Changed));
    let position = changes(&server);
    upload_keys(&first, false).unwrap();
    assert_eq!(changes(&server), position, "nothing new");
    assert!(matches!(upload_keys(&second, false), Err(UserError::AuthenticationNeeded)));
    upload_keys(&second, true).unwrap();
    assert_eq!(change(&second), NewKeys::None);
}

#[test]
fn wrong_cross_signing_keys_are_refused() {
    let server = Fixture::new();
    let alice = server.user("alice");
    let signer = Signer::new(&alice, 10);
    let refused = |upload: CrossSigningUpload| {
        server.keys.upload_cross_signing(&alice.user_id, alice.user, &upload, true).unwrap_err()
    };
    let whole = signer.upload(&alice);
    let lonely = CrossSigningUpload { master: None, ..whole.clone() };
    assert!(matches!(refused(lonely), UserError::NoMasterKey));
    let stranger = Signer::new(&alice, 20).upload(&alice);
    let mixed = CrossSigningUpload { master: stranger.master, ..whole.clone() };
    assert!(matches!(refused(mixed), UserError::InvalidSignature));
    let swapped = CrossSigningUpload { master: whole.self_signing.clone(), ..whole.clone() };
    assert!(matches!(refused(swapped), UserError::BadKeys(_)));
    let id = OwnedDeviceId::from(signer.master.public());
    let device = crate::users::NewDevice {
        device_id: Some(id),
        display_name: None,
        ..crate::users::NewDevice::default()
    };
    server.sessions.start(&alice.user_id, device).unwrap();
    assert!(matches!(refused(whole), UserError::KeyIdInUse));
}

#[test]
fn signatures_are_verified_and_shown_to_whom_they_concern() {
    let server = Fixture::new();
    let (alice, bob, carol) = (server.user("alice"), server.user("bob"), server.user("carol"));
    let (hers, his) = (Signer::set_up(&server, &alice, 10), Signer::set_up(&server, &bob, 20));
    Signer::set_up(&server, &carol, 30);
    // Her device, by her self-signing key: everybody sees it.
    let device = device_keys(&alice, &hers.device.public());
    let id = alice.device_id.as_str();
    assert!(
        upload_signed(&server, &alice, &alice, id, &signed(device.clone(), &alice, &[&hers.own])).is_empty()
    );
    // Bob's master key, by her user-signing key: she alone sees it.
    let (master, master_id) = (his.object(&bob, "master"), his.master.public());
    let signature = signed(master.clone(), &alice, &[&hers.others]);
    assert!(upload_signed(&server, &alice, &bob, &master_id, &signature).is_empty());
    // Her master key, by her device.
    let own_id = hers.master.public();
    let own = signed(hers.object(&alice, "master"), &alice, &[&hers.device]);
    assert!(upload_signed(&server, &alice, &alice, &own_id, &own).is_empty());

    let name = |pair: &KeyPair| pair.name.clone();
    let by_carol = queried(&server, &alice, KeyQuery::User(&carol.user_id));
    let on_device = &by_carol["devices"][id]["signatures"]["@alice:example.org"];
    assert!(on_device[name(&hers.own)].is_string() && on_device[name(&hers.device)].is_string());
    assert!(by_carol["master"]["signatures"]["@alice:example.org"][name(&hers.device)].is_string());
    assert_eq!(by_carol["user_signing"], json!(null));
    assert_ne!(queried(&server, &alice, KeyQuery::User(&alice.user_id))["user_signing"], json!(null));
    let bobs = |by| queried(&server, &bob, by)["master"]["signatures"]["@alice:example.org"].clone();
    assert!(bobs(KeyQuery::User(&alice.user_id))[name(&hers.others)].is_string());
    for by in [KeyQuery::User(&bob.user_id), KeyQuery::User(&carol.user_id), KeyQuery::Server] {
        assert_eq!(bobs(by), json!(null));
    }
    // A new master key is another key.
    let new = Signer::new(&bob, 40);
    server.keys.upload_cross_signing(&bob.user_id, bob.user, &new.upload(&bob), true).unwrap();
    assert_eq!(bobs(KeyQuery::User(&alice.user_id)), json!(null));
}

#[test]
fn wrong_signatures_are_refused_one_by_one() {
    let server = Fixture::new();
    let (alice, bob) = (server.user("alice"), server.user("bob"));
    let (hers, his) = (Signer::set_up(&server, &alice, 10), Signer::set_up(&server, &bob, 20));
    let failure = |owner: &TestUser, id: &str, object: Value| {
        let failures = upload_signed(&server, &alice, owner, id, &object);
        failures.values().flat_map(|by_id| by_id.values()).next().copied()
    };
    let device = device_keys(&alice, &hers.device.public());
    let mut forged = signed(device.clone(), &alice, &[&hers.own]);
    let signature = &mut forged["signatures"]["@alice:example.org"][&hers.own.name];
    *signature = json!("A".repeat(86));
    let id = alice.device_id.as_str();
    assert_eq!(failure(&alice, id, forged), Some(SignatureFailure::InvalidSignature));
    let by_others = signed(device.clone(), &alice, &[&hers.others]);
    assert_eq!(failure(&alice, id, by_others), Some(SignatureFailure::InvalidSignature));
    let changed = signed(device_keys(&alice, "other"), &alice, &[&hers.own]);
    assert_eq!(failure(&alice, id, changed), Some(SignatureFailure::OtherKey));
    let unknown = signed(device, &alice, &[&hers.own]);
    assert_eq!(failure(&alice, "GONE", unknown), Some(SignatureFailure::UnknownKey));
    let bobs_device = signed(device_keys(&bob, &his.device.public()), &alice, &[&hers.others]);
    assert_eq!(failure(&bob, bob.device_id.as_str(), bobs_device), Some(SignatureFailure::UnknownKey));
    let rows = server.storage.scan(
        &tables::KEY_SIGNATURES,
        &tables::KEY_SIGNATURES.all(),
        crate::storage::Direction::Forward,
    );
    assert_eq!(rows.count(), 0);
}

#[test]
fn unknown_users_and_devices_have_no_keys() {
    let server = Fixture::new();
    let alice = server.user("alice");
    let nobody = server.keys.query(user_id!("@x:example.org"), &[], KeyQuery::User(&alice.user_id)).unwrap();
    assert!(nobody.devices.is_empty() && nobody.master.is_none());
    let wanted = [device_id!("GONE").to_owned()];
    assert!(server.keys.query(&alice.user_id, &wanted, KeyQuery::Server).unwrap().devices.is_empty());
}
