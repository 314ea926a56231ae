//! Logging users in for programs that know a secret, without their passwords: how bridges double-puppet a server's
//! users that have no way to act as them (`com.devture.shared_secret_auth`, as Synapse's module of that name has it).

use ring::hmac;
use ruma::UserId;

use super::shared_secret::from_hex;

/// The secret; none by default. Cheap to clone.
#[derive(Clone, Default)]
pub struct LoginSecret {
    key: Option<hmac::Key>,
}

impl std::fmt::Debug for LoginSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginSecret").field("is_set", &self.is_set()).finish_non_exhaustive()
    }
}

impl LoginSecret {
    /// The type of login.
    pub const LOGIN_TYPE: &str = "com.devture.shared_secret_auth";

    /// For those who know `secret`.
    pub fn new(secret: &str) -> Self {
        Self { key: Some(hmac::Key::new(hmac::HMAC_SHA512, secret.as_bytes())) }
    }

    /// Whether there is one.
    pub const fn is_set(&self) -> bool {
        self.key.is_some()
    }

    /// Whether `token` was made with the secret for this user: HMAC-SHA512 of the full user id, in hexadecimal digits.
    pub fn fits(&self, user_id: &UserId, token: &str) -> bool {
        let (Some(key), Some(token)) = (&self.key, from_hex(token)) else { return false };
        hmac::verify(key, user_id.as_bytes(), &token).is_ok()
    }
}
