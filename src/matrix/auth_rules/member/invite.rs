//! Rule 5.4: inviting, by user ID or through a third party.

use base64::Engine;
use ruma::UserId;
use serde::Deserialize;
use serde_json::Value;

use super::super::{
    AuthRefusal, AuthState,
    state::{Check, Membership, Outcome, require_level},
};
use crate::matrix::{
    event::Event,
    hashes::{BASE64, BASE64_URL},
    limits::{THIRD_PARTY_INVITE_KEYS_MAX, THIRD_PARTY_INVITE_SIGNATURES_MAX},
    power_levels::LevelField,
    raw_object::RawObject,
    signing::VerifyKey,
};

pub(super) fn check<S: AuthState>(check: &Check<'_, S>, target: &UserId) -> Outcome<S> {
    // 5.4.1. If content has a third_party_invite property:
    let content = RawObject::parse(check.event.content_json()).unwrap_or_default();
    if let Some(invite) = content.get("third_party_invite") {
        return check_third_party(check, target, invite);
    }
    // 5.4.2. If the sender's current membership state is not join, reject.
    check.require_sender_joined()?;
    // 5.4.3. If target user's current membership state is join or ban, reject.
    match check.membership(target)? {
        Membership::Join => return Err(AuthRefusal::AlreadyJoined(target.to_owned()).into()),
        Membership::Ban => return Err(AuthRefusal::Banned(target.to_owned()).into()),
        Membership::Invite | Membership::Leave | Membership::Knock => {}
    }
    // 5.4.4. If the sender's power level is greater than or equal to the invite level, allow.
    // 5.4.5. Otherwise, reject.
    let levels = check.power_levels()?;
    Ok(require_level(&levels, check.event.sender(), LevelField::Invite, "to invite")?)
}

/// Clause 5.4.1. `invite` is the text of `third_party_invite`.
fn check_third_party<S: AuthState>(check: &Check<'_, S>, target: &UserId, invite: &str) -> Outcome<S> {
    #[derive(Deserialize)]
    struct Signed {
        mxid: String,
        token: String,
        #[serde(default)]
        signatures: serde_json::Map<String, Value>,
    }
    // 5.4.1.1. If target user is banned, reject.
    if check.membership(target)? == Membership::Ban {
        return Err(AuthRefusal::Banned(target.to_owned()).into());
    }
    // 5.4.1.2. If content.third_party_invite does not have a signed property, reject.
    let invite = RawObject::parse(invite).unwrap_or_default();
    let signed_json = invite.get("signed").ok_or(AuthRefusal::ThirdPartyInviteUnsigned)?;
    // 5.4.1.3. If signed does not have mxid and token properties, reject.
    let signed: Signed =
        serde_json::from_str(signed_json).map_err(|_| AuthRefusal::ThirdPartyInviteUnsigned)?;
    // 5.4.1.4. If mxid does not match state_key, reject.
    if signed.mxid != target.as_str() {
        return Err(AuthRefusal::ThirdPartyInviteForAnother.into());
    }
    // 5.4.1.5. If there is no m.room.third_party_invite event in the current room state with state_key
    //          matching token, reject.
    // 5.4.1.6. If sender does not match sender of the m.room.third_party_invite, reject.
    let offer = check
        .state_event("m.room.third_party_invite", &signed.token)?
        .filter(|offer| offer.sender() == check.event.sender())
        .ok_or(AuthRefusal::ThirdPartyInviteUnknown)?;
    // 5.4.1.7. If any signature in signed matches any public key in the m.room.third_party_invite event,
    //          allow.
    // 5.4.1.8. Otherwise, reject.
    let mut message = RawObject::parse(signed_json).unwrap_or_default();
    message.retain(|key| !matches!(key, "signatures" | "unsigned"));
    let message = message.to_json();
    let keys = public_keys(&offer);
    let is_signed = signed
        .signatures
        .values()
        .filter_map(Value::as_object)
        .flatten()
        .filter(|(key_id, _)| key_id.starts_with("ed25519:"))
        .filter_map(|(_, signature)| signature.as_str())
        .take(THIRD_PARTY_INVITE_SIGNATURES_MAX)
        .any(|signature| keys.iter().any(|key| key.verifies(message.as_bytes(), signature)));
    if is_signed { Ok(()) } else { Err(AuthRefusal::ThirdPartyInviteBadSignature.into()) }
}

/// The public keys of an `m.room.third_party_invite` event. What can't be read as a key is left out.
fn public_keys(offer: &Event) -> Vec<VerifyKey> {
    // The public keys are in content of m.room.third_party_invite as:
    // 5.4.1.7.1. A single public key in the public_key property.
    let single = offer.content_field::<String>("public_key");
    // 5.4.1.7.2. A list of public keys in the public_keys property.
    let list = offer.content_field::<Vec<Value>>("public_keys").unwrap_or_default();
    let list = list.iter().filter_map(|entry| entry.get("public_key")?.as_str());
    single
        .as_deref()
        .into_iter()
        .chain(list)
        .filter_map(decode_key)
        .take(THIRD_PARTY_INVITE_KEYS_MAX)
        .collect()
}

/// Identity servers write keys in either alphabet of base64.
fn decode_key(text: &str) -> Option<VerifyKey> {
    let bytes = BASE64.decode(text).or_else(|_| BASE64_URL.decode(text)).ok()?;
    VerifyKey::from_bytes(&bytes).ok()
}
