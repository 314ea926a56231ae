//! Random secrets and their hashes.
//!
//! A secret that this server hands out (access token, login token, session of user-interactive
//! authentication) is random and long, so a plain SHA-256 of it can be kept and looked up: whoever reads
//! the database learns no secret, and a look-up by hash tells nothing by the time it takes.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    digest,
    rand::{SecureRandom, SystemRandom},
};

use super::UserError;

/// A secret's SHA-256.
pub type SecretHash = [u8; 32];

/// Bytes of randomness in a secret: guessing is hopeless.
const SECRET_BYTES: usize = 32;

/// What access tokens start with, so that scanners of logs and repositories find leaked ones.
const ACCESS_TOKEN_PREFIX: &str = "cdt_";

/// What refresh tokens start with, for the same reason.
const REFRESH_TOKEN_PREFIX: &str = "cdr_";

/// Random bytes from the operating system.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], UserError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| UserError::NoRandomness)?;
    Ok(bytes)
}

/// A new secret in characters that need no escaping in a URL.
pub fn random_secret() -> Result<String, UserError> {
    Ok(URL_SAFE_NO_PAD.encode(random_bytes::<SECRET_BYTES>()?))
}

/// A new access token.
pub fn random_access_token() -> Result<String, UserError> {
    Ok(format!("{ACCESS_TOKEN_PREFIX}{}", random_secret()?))
}

/// A new refresh token.
pub fn random_refresh_token() -> Result<String, UserError> {
    Ok(format!("{REFRESH_TOKEN_PREFIX}{}", random_secret()?))
}

/// The hash under which a secret is kept.
pub fn hash(secret: &str) -> SecretHash {
    hash_bytes(secret.as_bytes())
}

/// SHA-256.
pub fn hash_bytes(bytes: &[u8]) -> SecretHash {
    let digest = digest::digest(&digest::SHA256, bytes);
    let mut hash = [0; 32];
    hash.copy_from_slice(digest.as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_tokens_differ_and_need_no_escaping() {
        let (one, other) = (random_access_token().unwrap(), random_access_token().unwrap());
        assert_ne!(one, other);
        assert!(one.starts_with("cdt_") && one.len() == 4 + 43, "{one}");
        assert!(one.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'), "{one}");
    }

    #[test]
    fn hashes_are_sha256() {
        let expected = [0xba, 0x78, 0x16, 0xbf];
        assert_eq!(hash("abc")[..4], expected);
    }
}
