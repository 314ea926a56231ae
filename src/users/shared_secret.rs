//! Registration by scripts that know a shared secret, as Synapse's tools do it.
//!
//! The script gets a nonce, and signs it with the new user's data. A nonce is made so that it need not be
//! remembered: it carries its time and our own signature; only those used are remembered for as long as
//! they would be valid.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use ring::hmac;

use super::{Clock, UserError, limits, secrets};

/// A registration that claims to be signed with the shared secret.
#[derive(Clone, Copy)]
pub struct SignedRegistration<'a> {
    /// The nonce, as this server gave it.
    pub nonce: &'a str,
    /// The name.
    pub username: &'a str,
    /// The password.
    pub password: &'a str,
    /// Whether the user is to be an administrator.
    pub is_admin: bool,
    /// Synapse's kind of user, if given.
    pub user_type: Option<&'a str>,
    /// HMAC-SHA1, in hexadecimal digits.
    pub mac: &'a str,
}

impl SignedRegistration<'_> {
    fn signed_bytes(&self) -> Vec<u8> {
        let admin = if self.is_admin { "admin" } else { "notadmin" };
        let parts = [self.nonce, self.username, self.password, admin];
        parts.into_iter().chain(self.user_type).collect::<Vec<_>>().join("\0").into_bytes()
    }
}

/// The service for registration with the shared secret; cheap to clone.
#[derive(Clone)]
pub struct SharedSecret {
    inner: Arc<Inner>,
}

struct Inner {
    secret: hmac::Key,
    nonces: hmac::Key,
    used: Mutex<HashMap<String, u64>>,
    clock: Clock,
}

impl std::fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedSecret").finish_non_exhaustive()
    }
}

/// Random bytes of a nonce.
const NONCE_RANDOM_BYTES: usize = 16;

impl SharedSecret {
    /// The service for those who know `secret`.
    pub fn new(secret: &str, clock: Clock) -> Result<Self, UserError> {
        let nonces = hmac::Key::new(hmac::HMAC_SHA256, &secrets::random_bytes::<32>()?);
        let secret = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
        Ok(Self { inner: Arc::new(Inner { secret, nonces, used: Mutex::default(), clock }) })
    }

    /// A new nonce, valid for a minute and one registration.
    pub fn nonce(&self) -> Result<String, UserError> {
        let mut nonce =
            (self.inner.clock.now_ms() + limits::SHARED_SECRET_NONCE_LIFETIME_MS).to_be_bytes().to_vec();
        nonce.extend(secrets::random_bytes::<NONCE_RANDOM_BYTES>()?);
        let tag = hmac::sign(&self.inner.nonces, &nonce);
        nonce.extend_from_slice(tag.as_ref());
        Ok(to_hex(&nonce))
    }

    /// Whether a registration is signed with the secret; uses its nonce up.
    pub fn check(&self, registration: &SignedRegistration<'_>) -> Result<(), UserError> {
        let expires_at_ms = self.nonce_expiry(registration.nonce).ok_or(UserError::InvalidNonce)?;
        let mac = from_hex(registration.mac).ok_or(UserError::WrongMac)?;
        hmac::verify(&self.inner.secret, &registration.signed_bytes(), &mac)
            .map_err(|_| UserError::WrongMac)?;
        let now_ms = self.inner.clock.now_ms();
        let mut used = self.inner.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|_, expires_at_ms| *expires_at_ms > now_ms);
        if used.len() >= limits::SHARED_SECRET_NONCES_USED_MAX {
            return Err(UserError::Busy);
        }
        // Hexadecimal digits have two forms.
        let is_repeated = used.insert(registration.nonce.to_ascii_lowercase(), expires_at_ms).is_some();
        if is_repeated { Err(UserError::InvalidNonce) } else { Ok(()) }
    }

    /// Until when a nonce of ours is valid; `None` when it is not ours or too old.
    fn nonce_expiry(&self, nonce: &str) -> Option<u64> {
        let nonce = from_hex(nonce)?;
        let (signed, tag) = nonce.split_at_checked(size_of::<u64>() + NONCE_RANDOM_BYTES)?;
        hmac::verify(&self.inner.nonces, signed, tag).ok()?;
        let expires_at_ms = u64::from_be_bytes(*signed.first_chunk()?);
        (expires_at_ms > self.inner.clock.now_ms()).then_some(expires_at_ms)
    }
}

fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS.get(usize::from(value)).copied().unwrap_or(b'0'));
    bytes.iter().flat_map(|&byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn service() -> (SharedSecret, super::super::ManualClock) {
        let (clock, time) = Clock::manual(1_000);
        (SharedSecret::new("shared", clock).unwrap(), time)
    }

    fn mac(registration: &SignedRegistration<'_>) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"shared");
        to_hex(hmac::sign(&key, &registration.signed_bytes()).as_ref())
    }

    fn unsigned(nonce: &str) -> SignedRegistration<'_> {
        let (username, password) = ("alice", "correct horse");
        SignedRegistration { nonce, username, password, is_admin: true, user_type: None, mac: "" }
    }

    #[test]
    fn what_is_signed_is_what_synapse_signs() {
        let with_type = SignedRegistration { is_admin: false, user_type: Some("bot"), ..unsigned("n") };
        assert_eq!(unsigned("n").signed_bytes(), b"n\0alice\0correct horse\0admin");
        assert_eq!(with_type.signed_bytes(), b"n\0alice\0correct horse\0notadmin\0bot");
    }

    #[test]
    fn a_signed_registration_is_accepted_once() {
        let (service, _time) = service();
        let nonce = service.nonce().unwrap();
        let mac = mac(&unsigned(&nonce));
        let signed = SignedRegistration { mac: &mac, ..unsigned(&nonce) };
        let upper_nonce = nonce.to_ascii_uppercase();
        service.check(&signed).unwrap();
        assert!(matches!(service.check(&signed), Err(UserError::InvalidNonce)));
        let upper_mac = super::tests::mac(&unsigned(&upper_nonce));
        let upper = SignedRegistration { mac: &upper_mac, ..unsigned(&upper_nonce) };
        assert!(matches!(service.check(&upper), Err(UserError::InvalidNonce)), "in other digits");
    }

    #[test]
    fn nothing_signed_can_be_changed() {
        let (service, _time) = service();
        let nonce = service.nonce().unwrap();
        let mac = mac(&unsigned(&nonce));
        let signed = SignedRegistration { mac: &mac, ..unsigned(&nonce) };
        for changed in [
            SignedRegistration { username: "mallory", ..signed },
            SignedRegistration { password: "another one", ..signed },
            SignedRegistration { is_admin: false, ..signed },
            SignedRegistration { user_type: Some("bot"), ..signed },
            SignedRegistration { mac: "", ..signed },
            SignedRegistration { mac: "xy", ..signed },
        ] {
            assert!(matches!(service.check(&changed), Err(UserError::WrongMac)));
        }
        service.check(&signed).unwrap();
    }

    #[test]
    fn foreign_and_old_nonces_are_refused() {
        let (service, time) = service();
        let old = service.nonce().unwrap();
        time.advance_ms(limits::SHARED_SECRET_NONCE_LIFETIME_MS);
        let foreign = self::service().0.nonce().unwrap();
        for nonce in [old.as_str(), foreign.as_str(), "", "00"] {
            let mac = mac(&unsigned(nonce));
            let signed = SignedRegistration { mac: &mac, ..unsigned(nonce) };
            assert!(matches!(service.check(&signed), Err(UserError::InvalidNonce)), "{nonce}");
        }
    }

    proptest! {
        #[test]
        fn hexadecimal_digits_round_trip(bytes: Vec<u8>) {
            prop_assert_eq!(from_hex(&to_hex(&bytes)), Some(bytes));
        }

        #[test]
        fn any_text_is_hexadecimal_or_not(text: String) {
            let _ = from_hex(&text);
        }
    }
}
