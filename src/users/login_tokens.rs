//! Login tokens: a logged-in client gets one to hand to another client, which logs in with it once.
//!
//! They live two minutes and in memory only; a restart ends them (client-server API, "Login",
//! `m.login.token`).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ruma::{OwnedUserId, UserId};

use super::{
    Clock, UserError, limits,
    secrets::{self, SecretHash},
};

/// A new login token.
#[derive(Clone)]
pub struct LoginToken {
    /// The secret.
    pub token: String,
    /// How long it is valid.
    pub expires_in: Duration,
}

struct Issued {
    user_id: OwnedUserId,
    expires_at_ms: u64,
}

/// The service for login tokens; cheap to clone.
#[derive(Clone)]
pub struct LoginTokens {
    issued: Arc<Mutex<HashMap<SecretHash, Issued>>>,
    clock: Clock,
}

impl std::fmt::Debug for LoginTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginTokens").finish_non_exhaustive()
    }
}

impl LoginTokens {
    /// The service.
    pub fn new(clock: Clock) -> Self {
        Self { issued: Arc::default(), clock }
    }

    /// A token with which somebody can log in as `user_id`, once.
    pub fn issue(&self, user_id: &UserId) -> Result<LoginToken, UserError> {
        let token = secrets::random_secret()?;
        let now_ms = self.clock.now_ms();
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        issued.retain(|_, issued| issued.expires_at_ms > now_ms);
        if issued.len() >= limits::LOGIN_TOKENS_MAX {
            return Err(UserError::Busy);
        }
        let expires_at_ms = now_ms + limits::LOGIN_TOKEN_LIFETIME_MS;
        issued.insert(secrets::hash(&token), Issued { user_id: user_id.to_owned(), expires_at_ms });
        Ok(LoginToken { token, expires_in: Duration::from_millis(limits::LOGIN_TOKEN_LIFETIME_MS) })
    }

    /// Uses a token up; answers whose it was.
    pub fn redeem(&self, token: &str) -> Result<OwnedUserId, UserError> {
        let found = self.issued.lock().unwrap_or_else(PoisonError::into_inner).remove(&secrets::hash(token));
        found
            .filter(|issued| issued.expires_at_ms > self.clock.now_ms())
            .map(|issued| issued.user_id)
            .ok_or(UserError::InvalidLoginToken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruma::user_id;

    #[test]
    fn a_token_is_good_for_one_login() {
        let tokens = LoginTokens::new(Clock::manual(0).0);
        let token = tokens.issue(user_id!("@alice:example.org")).unwrap();
        assert_eq!(token.expires_in, Duration::from_secs(120));
        assert_eq!(tokens.redeem(&token.token).unwrap(), "@alice:example.org");
        assert!(matches!(tokens.redeem(&token.token), Err(UserError::InvalidLoginToken)));
        assert!(matches!(tokens.redeem("guess"), Err(UserError::InvalidLoginToken)));
    }

    #[test]
    fn a_token_expires() {
        let (clock, time) = Clock::manual(0);
        let tokens = LoginTokens::new(clock);
        let token = tokens.issue(user_id!("@alice:example.org")).unwrap();
        time.advance_ms(limits::LOGIN_TOKEN_LIFETIME_MS);
        assert!(matches!(tokens.redeem(&token.token), Err(UserError::InvalidLoginToken)));
    }

    #[test]
    fn only_so_many_are_kept_and_old_ones_make_room() {
        let (clock, time) = Clock::manual(0);
        let tokens = LoginTokens::new(clock);
        let issue = || tokens.issue(user_id!("@alice:example.org"));
        for _ in 0..limits::LOGIN_TOKENS_MAX {
            issue().unwrap();
        }
        assert!(matches!(issue().map(drop), Err(UserError::Busy)));
        time.advance_ms(limits::LOGIN_TOKEN_LIFETIME_MS);
        issue().unwrap();
        assert_eq!(tokens.issued.lock().unwrap().len(), 1);
    }
}
