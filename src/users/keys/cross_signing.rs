//! `POST /keys/device_signing/upload`: a user's master, self-signing and user-signing keys.

use ruma::{
    DeviceId, UserId,
    encryption::{CrossSigningKey, KeyUsage},
};
use serde_json::{Map, Value, value::RawValue};

use super::{
    EncryptionKeys,
    identity::{SignedObject, same_but_signatures, signing_key_name},
    publish,
    query::{parse, public_part},
    removal,
};
use crate::{
    matrix::signing::VerifyKey,
    storage::{Read, ShortUserId, StorageError, Transaction, tables},
    users::{UserError, limits},
};

/// What a cross-signing key is for. The number is part of its row's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum KeyKind {
    /// Stands for the user.
    Master = 1,
    /// Signs the user's devices.
    SelfSigning = 2,
    /// Signs other users' master keys; shown to its owner only.
    UserSigning = 3,
}

impl KeyKind {
    /// All kinds, the master key first.
    pub const ALL: [Self; 3] = [Self::Master, Self::SelfSigning, Self::UserSigning];

    fn usage(self) -> KeyUsage {
        match self {
            Self::Master => KeyUsage::Master,
            Self::SelfSigning => KeyUsage::SelfSigning,
            Self::UserSigning => KeyUsage::UserSigning,
        }
    }
}

/// The keys of a request.
#[derive(Debug, Clone, Default)]
pub struct CrossSigningUpload {
    /// The master key.
    pub master: Option<Box<RawValue>>,
    /// The self-signing key.
    pub self_signing: Option<Box<RawValue>>,
    /// The user-signing key.
    pub user_signing: Option<Box<RawValue>>,
}

/// What an upload would change, which decides whether the user has to prove who they are (MSC3967).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewKeys {
    /// Nothing: all keys are there already.
    None,
    /// The user has no master key yet.
    First,
    /// Keys change, or more are added.
    Changed,
}

/// A key that is well-formed.
struct CheckedKey {
    kind: KeyKind,
    object: Map<String, Value>,
    signed: SignedObject,
    public: String,
}

impl EncryptionKeys {
    /// What an upload would change.
    pub fn cross_signing_change(
        &self,
        user_id: &UserId,
        user: ShortUserId,
        upload: &CrossSigningUpload,
    ) -> Result<NewKeys, UserError> {
        Ok(change(&self.storage, user, &checked(user_id, upload)?)?)
    }

    /// Takes cross-signing keys. Self-signing and user-signing keys must be signed by the master key, the new
    /// one or else the one that is there. Unless `authenticated`, only what needs no proof is done, and the rest
    /// refused with [`UserError::AuthenticationNeeded`].
    pub fn upload_cross_signing(
        &self,
        user_id: &UserId,
        user: ShortUserId,
        upload: &CrossSigningUpload,
        authenticated: bool,
    ) -> Result<(), UserError> {
        let keys = checked(user_id, upload)?;
        self.storage.write(|tx| {
            match change(tx, user, &keys)? {
                NewKeys::None => return Ok(()),
                NewKeys::Changed if !authenticated => return Err(UserError::AuthenticationNeeded),
                NewKeys::First | NewKeys::Changed => {}
            }
            check_signatures(tx, user_id, user, &keys)?;
            for key in &keys {
                put(tx, user, key)?;
            }
            publish::signing_keys_changed(tx, user)?;
            Ok(())
        })
    }

    /// The public part of a user's key.
    pub(super) fn public_key(
        reader: &impl Read,
        user: ShortUserId,
        kind: KeyKind,
    ) -> Result<Option<String>, StorageError> {
        Ok(stored(reader, user, kind)?.as_ref().and_then(public_part))
    }
}

pub(super) fn stored(
    reader: &impl Read,
    user: ShortUserId,
    kind: KeyKind,
) -> Result<Option<Map<String, Value>>, StorageError> {
    let text = reader.get(&tables::CROSS_SIGNING_KEYS, &(user, kind as u8))?;
    Ok(text.and_then(|text| parse(&text)))
}

fn change(reader: &impl Read, user: ShortUserId, keys: &[CheckedKey]) -> Result<NewKeys, StorageError> {
    if stored(reader, user, KeyKind::Master)?.is_none() {
        return Ok(NewKeys::First);
    }
    for key in keys {
        let before = stored(reader, user, key.kind)?;
        if !before.is_some_and(|before| same_but_signatures(&before, &key.object)) {
            return Ok(NewKeys::Changed);
        }
    }
    Ok(NewKeys::None)
}

fn check_signatures(
    tx: &Transaction<'_>,
    user_id: &UserId,
    user: ShortUserId,
    keys: &[CheckedKey],
) -> Result<(), UserError> {
    let uploaded = keys.iter().find(|key| key.kind == KeyKind::Master).map(|key| key.public.clone());
    let master = match uploaded {
        Some(master) => master,
        None => EncryptionKeys::public_key(tx, user, KeyKind::Master)?.ok_or(UserError::NoMasterKey)?,
    };
    for key in keys {
        // Verification names master keys where devices are named.
        let device_id = <&DeviceId>::from(key.public.as_str());
        if tx.contains(&tables::DEVICES, &(user, device_id.to_owned()))? {
            return Err(UserError::KeyIdInUse);
        }
        if key.kind != KeyKind::Master && !key.signed.is_cross_signed(user_id, &master) {
            return Err(UserError::InvalidSignature);
        }
    }
    Ok(())
}

fn put(tx: &mut Transaction<'_>, user: ShortUserId, key: &CheckedKey) -> Result<(), UserError> {
    if let Some(before) = EncryptionKeys::public_key(tx, user, key.kind)?
        && before != key.public
    {
        removal::delete_signatures_on(tx, user, &before)?;
    }
    let text = serde_json::to_vec(&key.object).map_err(|e| UserError::BadKeys(e.to_string()))?;
    tx.put(&tables::CROSS_SIGNING_KEYS, &(user, key.kind as u8), &text);
    Ok(())
}

/// A remote user's key in the form it is kept in, if it is one.
pub(in crate::users) fn checked_cross_signing_key(
    user_id: &UserId,
    kind: KeyKind,
    key: &RawValue,
) -> Option<Vec<u8>> {
    check(user_id, kind, key).ok().and_then(|key| serde_json::to_vec(&key.object).ok())
}

fn checked(user_id: &UserId, upload: &CrossSigningUpload) -> Result<Vec<CheckedKey>, UserError> {
    let of_kinds = [
        (KeyKind::Master, &upload.master),
        (KeyKind::SelfSigning, &upload.self_signing),
        (KeyKind::UserSigning, &upload.user_signing),
    ];
    let given = of_kinds.into_iter().filter_map(|(kind, key)| Some((kind, key.as_deref()?)));
    given.map(|(kind, key)| check(user_id, kind, key)).collect()
}

fn check(user_id: &UserId, kind: KeyKind, key: &RawValue) -> Result<CheckedKey, UserError> {
    let bad = |why: &str| UserError::BadKeys(format!("this is not a cross-signing key: {why}"));
    if key.get().len() > limits::DEVICE_KEYS_BYTES_MAX {
        let max = format!("{} bytes", limits::DEVICE_KEYS_BYTES_MAX);
        return Err(UserError::TooLarge { what: "A cross-signing key", max });
    }
    let parsed: CrossSigningKey = serde_json::from_str(key.get()).map_err(|e| bad(&e.to_string()))?;
    if parsed.user_id != user_id {
        return Err(UserError::KeysOfAnother);
    }
    if !parsed.usage.contains(&kind.usage()) {
        return Err(bad("its usage is another one"));
    }
    let mut names = parsed.keys.iter();
    let (Some((name, public)), None) = (names.next(), names.next()) else {
        return Err(bad("it must have just one public key"));
    };
    if name.as_str() != signing_key_name(public) || VerifyKey::from_base64(public).is_err() {
        return Err(bad("its public key is not valid"));
    }
    let mut object: Map<String, Value> = serde_json::from_str(key.get()).map_err(|e| bad(&e.to_string()))?;
    object.remove("unsigned");
    let signed = SignedObject::parse(key).ok_or_else(|| bad("it has no canonical form"))?;
    Ok(CheckedKey { kind, object, signed, public: public.clone() })
}
