use ruma::RoomVersionId;
use serde_json::{Value, json};

use super::{ALICE, BOB};
use crate::matrix::{
    AuthRefusal,
    canonical_json::to_object,
    room_versions::SUPPORTED,
    signing::{SigningKey, sign_json},
    test_rooms::TestRoom,
};

fn identity_key() -> SigningKey {
    SigningKey::from_seed([7; 32], "0").unwrap()
}

/// A room where Alice, who has left since, offered an invite with token `tok`.
fn room(version: &RoomVersionId, offer: Value) -> TestRoom {
    let mut room = TestRoom::new(version);
    room.put_member(ALICE, "join");
    room.put_state(ALICE, "m.room.third_party_invite", "tok", offer);
    room
}

fn offer() -> Value {
    json!({"display_name": "b...", "public_key": identity_key().public_key_base64()})
}

/// What the identity server signs for Bob.
fn signed(mxid: &str, token: &str) -> Value {
    let mut signed = to_object(&json!({"mxid": mxid, "token": token})).unwrap();
    sign_json(&mut signed, "id.example", &identity_key()).unwrap();
    serde_json::to_value(signed).unwrap()
}

fn invite(room: &TestRoom, sender: &str, third_party: Value) -> Result<(), AuthRefusal> {
    let content = json!({"membership": "invite", "third_party_invite": third_party});
    room.attempt(sender, "m.room.member", Some(BOB), content)
}

#[test]
fn a_signed_invite_is_allowed_in_every_version() {
    for version in SUPPORTED {
        let room = room(&version, offer());
        assert_eq!(invite(&room, ALICE, json!({"signed": signed(BOB, "tok")})), Ok(()), "{version}");
    }
}

#[test]
fn keys_stand_in_either_place_and_either_alphabet() {
    let url_safe = identity_key().public_key_base64().replace('+', "-").replace('/', "_");
    let other = SigningKey::from_seed([8; 32], "0").unwrap().public_key_base64();
    for offer in [
        json!({"public_keys": [{"public_key": url_safe}]}),
        json!({"public_key": other, "public_keys": [{"public_key": "?"}, {"public_key": url_safe}]}),
        json!({"public_key": 5, "public_keys": [{"public_key": url_safe}]}),
    ] {
        let room = room(&RoomVersionId::V11, offer);
        assert_eq!(invite(&room, ALICE, json!({"signed": signed(BOB, "tok")})), Ok(()));
    }
}

#[test]
fn refusals_in_the_order_of_the_clauses() {
    let mut room = room(&RoomVersionId::V11, offer());
    for third_party in
        [json!({}), json!(null), json!("x"), json!({"signed": {}}), json!({"signed": {"mxid": BOB}})]
    {
        assert_eq!(
            invite(&room, ALICE, third_party.clone()),
            Err(AuthRefusal::ThirdPartyInviteUnsigned),
            "{third_party}"
        );
    }
    let good = json!({"signed": signed(BOB, "tok")});
    assert_eq!(
        invite(&room, ALICE, json!({"signed": signed(ALICE, "tok")})),
        Err(AuthRefusal::ThirdPartyInviteForAnother)
    );
    assert_eq!(
        invite(&room, ALICE, json!({"signed": signed(BOB, "other")})),
        Err(AuthRefusal::ThirdPartyInviteUnknown)
    );
    assert_eq!(invite(&room, "@carol:example.org", good.clone()), Err(AuthRefusal::ThirdPartyInviteUnknown));
    room.put_member(BOB, "ban");
    assert_eq!(invite(&room, ALICE, good), Err(AuthRefusal::Banned(BOB.try_into().unwrap())));
}

#[test]
fn signatures_by_other_keys_are_refused() {
    let other = SigningKey::from_seed([8; 32], "0").unwrap().public_key_base64();
    let mut unsigned = signed(BOB, "tok");
    unsigned.as_object_mut().unwrap().remove("signatures");
    let mut forged = signed(BOB, "tok");
    forged["signatures"] = signed(ALICE, "tok")["signatures"].clone();
    let mut strange = signed(BOB, "tok");
    strange["signatures"] = json!({"id.example": 5, "b": {"ed25519:0": 7, "x": "y"}});
    for (offer, signed) in [
        (json!({"public_key": other}), signed(BOB, "tok")),
        (json!({}), signed(BOB, "tok")),
        (offer(), unsigned),
        (offer(), forged),
        (offer(), strange),
    ] {
        let room = room(&RoomVersionId::V11, offer);
        assert_eq!(
            invite(&room, ALICE, json!({"signed": signed})),
            Err(AuthRefusal::ThirdPartyInviteBadSignature)
        );
    }
}

#[test]
fn offering_one_needs_the_invite_level_and_membership() {
    for version in SUPPORTED {
        let mut room = TestRoom::new(&version);
        let attempt =
            |room: &TestRoom| room.attempt(ALICE, "m.room.third_party_invite", Some("tok"), offer());
        assert_eq!(attempt(&room), Err(AuthRefusal::SenderNotJoined(ALICE.try_into().unwrap())));
        room.put_member(ALICE, "join");
        // The required level of state events does not count here.
        assert_eq!(attempt(&room), Ok(()), "{version}");
        room.put_levels(json!({"invite": 1}));
        assert!(matches!(attempt(&room), Err(AuthRefusal::InsufficientPower { .. })), "{version}");
    }
}
