//! OpenID tokens: a user gets one to hand to some other service, which learns from this server whose it is
//! (client-server API, "OpenID"; server-server API, "OpenID"). It opens nothing else.

use std::time::Duration;

use ruma::{OwnedUserId, UserId};

use super::{Clock, UserError, limits, secrets};
use crate::storage::{Direction, Read, Storage, tables::OPENID_TOKENS};

/// A new token.
#[derive(Clone)]
pub struct OpenIdToken {
    /// The secret.
    pub token: String,
    /// How long it is valid.
    pub expires_in: Duration,
}

/// The service for OpenID tokens; cheap to clone.
#[derive(Debug, Clone)]
pub struct OpenIdTokens {
    storage: Storage,
    clock: Clock,
}

impl OpenIdTokens {
    /// Keeps tokens in `storage`, so that they outlive a restart.
    pub fn new(storage: Storage, clock: Clock) -> Self {
        Self { storage, clock }
    }

    /// A token that tells who `user_id` is, any number of times until it expires.
    pub fn issue(&self, user_id: &UserId) -> Result<OpenIdToken, UserError> {
        let now_ms = self.clock.now_ms();
        let expires_at_ms = now_ms + limits::OPENID_TOKEN_LIFETIME_MS;
        // The time stands in the token, so that rows can be in the order in which they expire.
        let token = format!("{expires_at_ms:x}.{}", secrets::random_secret()?);
        let hash = secrets::hash(&token);
        self.storage.write(|rows| {
            let expired = OPENID_TOKENS.between(&(0, [0; 32]), &(now_ms, [0; 32]));
            let expired: Vec<_> = rows
                .scan(&OPENID_TOKENS, &expired, Direction::Forward)
                .take(limits::OPENID_TOKENS_REMOVED_MAX)
                .map(|row| row.map(|(key, _)| key))
                .collect::<Result<_, _>>()?;
            for key in expired {
                rows.delete(&OPENID_TOKENS, &key);
            }
            let user = rows.intern_user(user_id)?;
            rows.put(&OPENID_TOKENS, &(expires_at_ms, hash), &user);
            Ok::<_, UserError>(())
        })?;
        Ok(OpenIdToken { token, expires_in: Duration::from_millis(limits::OPENID_TOKEN_LIFETIME_MS) })
    }

    /// Whose token this is; `None` if it is unknown or has expired.
    pub fn owner(&self, token: &str) -> Result<Option<OwnedUserId>, UserError> {
        let expiry = token.split_once('.').and_then(|(expiry, _)| u64::from_str_radix(expiry, 16).ok());
        let Some(expires_at_ms) = expiry.filter(|expiry| *expiry > self.clock.now_ms()) else {
            return Ok(None);
        };
        let Some(user) = self.storage.get(&OPENID_TOKENS, &(expires_at_ms, secrets::hash(token)))? else {
            return Ok(None);
        };
        Ok(Some(self.storage.user_id(user)?))
    }
}

#[cfg(test)]
mod tests {
    use ruma::user_id;

    use super::*;

    #[test]
    fn a_token_tells_its_owner_until_it_expires() {
        let storage = Storage::in_memory().unwrap();
        let (clock, time) = Clock::manual(1_000);
        let tokens = OpenIdTokens::new(storage.clone(), clock);
        let alice = user_id!("@alice:example.org");
        let first = tokens.issue(alice).unwrap();
        assert_eq!(tokens.owner(&first.token).unwrap().as_deref(), Some(alice));
        assert_eq!(tokens.owner(&first.token).unwrap().as_deref(), Some(alice));
        let (expiry, _) = first.token.split_once('.').unwrap();
        for guess in ["", ".", "guess", "ffffffffffff.guess", &format!("{expiry}.guess")] {
            assert_eq!(tokens.owner(guess).unwrap(), None, "{guess}");
        }
        time.advance_ms(limits::OPENID_TOKEN_LIFETIME_MS);
        assert_eq!(tokens.owner(&first.token).unwrap(), None);

        time.advance_ms(1);
        tokens.issue(alice).unwrap();
        let left = storage.scan(&OPENID_TOKENS, &OPENID_TOKENS.all(), Direction::Forward).count();
        assert_eq!(left, 1, "what has expired goes when another is made");
    }
}
