//! `POST /keys/signatures/upload`: signatures on keys that are here already.
//!
//! Taken are, of one's own: signatures by the self-signing key on devices, and by devices on the master key; of
//! others: signatures by the user-signing key on master keys. Each is verified, and the object must be the key
//! that is here; the rest of the object is not kept.

use std::collections::BTreeMap;

use ruma::{OwnedUserId, UserId};
use serde_json::{Map, Value, value::RawValue};

use super::{
    EncryptionKeys, KeyKind,
    cross_signing::stored,
    device_list,
    identity::{SignedObject, device_signing_key, same_but_signatures, signing_key_id, signing_key_name},
    publish::{self, DeviceChange},
    query::{parse, public_part},
};
use crate::{
    storage::{Read, ShortUserId, StorageError, Transaction, tables},
    users::{UserError, limits},
};

/// Signed keys by user and key id.
pub type SignedObjects = BTreeMap<OwnedUserId, BTreeMap<String, Box<RawValue>>>;

/// Why a signature was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFailure {
    /// There is no such key.
    #[error("There is no such key")]
    UnknownKey,
    /// The object is another one than the key that is here.
    #[error("The key is not the one that is known here")]
    OtherKey,
    /// The object is no key, or has no signature of a key that counts.
    #[error("There is no signature that is taken here")]
    NoSignature,
    /// A signature is wrong.
    #[error("Invalid signature")]
    InvalidSignature,
}

/// What was not taken, by user and key id.
pub type UploadedSignatures = BTreeMap<OwnedUserId, BTreeMap<String, SignatureFailure>>;

/// Signatures by the names of the keys they were made with.
type Verified = Vec<(String, String)>;

impl EncryptionKeys {
    /// Takes signatures of a user; answers those that were refused.
    pub fn upload_signatures(
        &self,
        user_id: &UserId,
        user: ShortUserId,
        objects: &SignedObjects,
    ) -> Result<UploadedSignatures, UserError> {
        if objects.values().map(BTreeMap::len).sum::<usize>() > limits::SIGNED_OBJECTS_MAX {
            let max = format!("{} signed keys", limits::SIGNED_OBJECTS_MAX);
            return Err(UserError::TooLarge { what: "A request", max });
        }
        let signer = Signer { user_id, user };
        self.storage.write(|tx| {
            let mut failures = UploadedSignatures::new();
            for (owner, by_id) in objects {
                for (key_id, object) in by_id {
                    if let Err(failure) = signer.add(tx, owner, key_id, object)? {
                        failures.entry(owner.clone()).or_default().insert(key_id.clone(), failure);
                    }
                }
            }
            Ok(failures)
        })
    }
}

struct Signer<'a> {
    user_id: &'a UserId,
    user: ShortUserId,
}

impl Signer<'_> {
    fn add(
        &self,
        tx: &mut Transaction<'_>,
        owner: &UserId,
        key_id: &str,
        object: &RawValue,
    ) -> Result<Result<(), SignatureFailure>, StorageError> {
        let Some(owner) = tx.short_user_id(owner)? else { return Ok(Err(SignatureFailure::UnknownKey)) };
        let verified = if owner == self.user {
            self.verify_own(tx, key_id, object)?
        } else {
            self.verify_other(tx, owner, key_id, object)?
        };
        let verified = match verified {
            Ok(verified) => verified,
            Err(failure) => return Ok(Err(failure)),
        };
        let mut is_new = false;
        for (with, signature) in verified {
            let key = (owner, key_id.to_owned(), self.user, with);
            if tx.get(&tables::KEY_SIGNATURES, &key)?.as_ref() != Some(&signature) {
                tx.put(&tables::KEY_SIGNATURES, &key, &signature);
                is_new = true;
            }
        }
        if is_new {
            self.tell(tx, owner, key_id)?;
        }
        Ok(Ok(()))
    }

    /// Tells of a new signature.
    fn tell(&self, tx: &mut Transaction<'_>, owner: ShortUserId, key_id: &str) -> Result<(), StorageError> {
        if owner != self.user {
            // It is seen by the signer's own devices only. That others look in vain is the price of one stream for
            // all.
            device_list::mark_changed(tx, owner)?;
            return Ok(());
        }
        match tx.get(&tables::DEVICE_KEYS, &(owner, key_id.into()))? {
            Some(keys) => {
                publish::device_changed(tx, owner, key_id.into(), DeviceChange::Is { keys: Some(&keys) })
            }
            None => publish::signing_keys_changed(tx, owner),
        }
    }

    /// Of one's own: a device signed by the self-signing key, or the master key signed by devices.
    fn verify_own(
        &self,
        tx: &Transaction<'_>,
        key_id: &str,
        object: &RawValue,
    ) -> Result<Result<Verified, SignatureFailure>, StorageError> {
        if let Some(device) = tx.get(&tables::DEVICE_KEYS, &(self.user, key_id.into()))? {
            let signing = EncryptionKeys::public_key(tx, self.user, KeyKind::SelfSigning)?;
            let key_of = |name: &str| {
                let public = signing.clone()?;
                (name == signing_key_name(&public)).then_some(public)
            };
            return Ok(self.verify(parse(&device), object, key_of));
        }
        let master = stored(tx, self.user, KeyKind::Master)?;
        if master.as_ref().and_then(public_part).as_deref() != Some(key_id) {
            return Ok(Err(SignatureFailure::UnknownKey));
        }
        let key_of = |name: &str| {
            let device_id = signing_key_id(name)?;
            let device = tx.get(&tables::DEVICE_KEYS, &(self.user, device_id.into())).ok()??;
            device_signing_key(&parse(&device)?, device_id)
        };
        Ok(self.verify(master, object, key_of))
    }

    /// Of another: the master key, signed by the user-signing key.
    fn verify_other(
        &self,
        tx: &Transaction<'_>,
        owner: ShortUserId,
        key_id: &str,
        object: &RawValue,
    ) -> Result<Result<Verified, SignatureFailure>, StorageError> {
        let master = stored(tx, owner, KeyKind::Master)?;
        if master.as_ref().and_then(public_part).as_deref() != Some(key_id) {
            return Ok(Err(SignatureFailure::UnknownKey));
        }
        let signing = EncryptionKeys::public_key(tx, self.user, KeyKind::UserSigning)?;
        let key_of = |name: &str| {
            let public = signing.clone()?;
            (name == signing_key_name(&public)).then_some(public)
        };
        Ok(self.verify(master, object, key_of))
    }

    /// The signer's signatures that `key_of` knows the keys of. One that is wrong makes all of them refused;
    /// those that the key was uploaded with, and those by unknown keys, are left alone.
    fn verify(
        &self,
        known: Option<Map<String, Value>>,
        object: &RawValue,
        key_of: impl Fn(&str) -> Option<String>,
    ) -> Result<Verified, SignatureFailure> {
        let known = known.ok_or(SignatureFailure::UnknownKey)?;
        let given = parse(object.get().as_bytes()).ok_or(SignatureFailure::NoSignature)?;
        if !same_but_signatures(&known, &given) {
            return Err(SignatureFailure::OtherKey);
        }
        let signed = SignedObject::parse(object).ok_or(SignatureFailure::NoSignature)?;
        let mut verified = Verified::new();
        let mut foreign = false;
        for (name, signature) in signed.of(self.user_id) {
            if signature_on(&known, self.user_id, name) == Some(signature) {
                continue;
            }
            match key_of(name) {
                Some(public) if signed.is_signed(&public, signature) => {
                    verified.push((name.to_owned(), signature.to_owned()));
                }
                Some(_) => return Err(SignatureFailure::InvalidSignature),
                None => foreign = true,
            }
        }
        if verified.is_empty() && foreign {
            return Err(SignatureFailure::InvalidSignature);
        }
        Ok(verified)
    }
}

/// A signature that a key was uploaded with.
fn signature_on<'a>(key: &'a Map<String, Value>, signer: &UserId, name: &str) -> Option<&'a str> {
    key.get("signatures")?.get(signer.as_str())?.get(name)?.as_str()
}
