//! Credentials for TURN servers, through which calls go where two clients can't reach each other.
//!
//! With a shared secret each user gets a name that says until when it holds, and the HMAC of it as the
//! password, as coturn's `use-auth-secret` takes it; no TURN server is asked. Main type: [`TurnServers`].

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::hmac;
use ruma::UserId;

use super::Clock;

/// How a user proves to the TURN servers that this server knows them.
#[derive(Clone)]
pub enum TurnAuthentication {
    /// By credentials made from this secret.
    Secret(String),
    /// By one name and password for all.
    Fixed {
        /// The name.
        username: String,
        /// The password.
        password: String,
    },
}

/// The TURN servers that the operator has set. Cheap to clone.
#[derive(Clone)]
pub struct TurnServers {
    inner: Arc<(Vec<String>, TurnAuthentication, Duration)>,
    clock: Clock,
}

impl std::fmt::Debug for TurnServers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TurnServers").field("uris", &self.inner.0).finish_non_exhaustive()
    }
}

/// What a client is told.
#[derive(Clone, PartialEq, Eq)]
pub struct TurnCredentials {
    /// Where the servers are.
    pub uris: Vec<String>,
    /// The name.
    pub username: String,
    /// The password.
    pub password: String,
    /// How long they hold.
    pub lifetime: Duration,
}

impl std::fmt::Debug for TurnCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TurnCredentials").field("username", &self.username).finish_non_exhaustive()
    }
}

impl TurnServers {
    /// The servers at `uris`, with credentials that hold for `lifetime`.
    pub fn new(
        uris: Vec<String>,
        authentication: TurnAuthentication,
        lifetime: Duration,
        clock: Clock,
    ) -> Self {
        Self { inner: Arc::new((uris, authentication, lifetime)), clock }
    }

    /// A user's credentials from now on.
    pub fn credentials(&self, user: &UserId) -> TurnCredentials {
        let (uris, authentication, lifetime) = &*self.inner;
        let (username, password) = match authentication {
            TurnAuthentication::Fixed { username, password } => (username.clone(), password.clone()),
            TurnAuthentication::Secret(secret) => {
                let until = (self.clock.now_ms() / 1_000).saturating_add(lifetime.as_secs());
                let username = format!("{until}:{user}");
                let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
                let password = STANDARD.encode(hmac::sign(&key, username.as_bytes()));
                (username, password)
            }
        };
        TurnCredentials { uris: uris.clone(), username, password, lifetime: *lifetime }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruma::user_id;

    #[test]
    fn a_secret_gives_each_user_credentials_that_end() {
        let (clock, _) = Clock::manual(1_443_779_631_000);
        let uris = vec!["turn:turn.example.org?transport=udp".to_owned()];
        let secret = TurnAuthentication::Secret("secret".to_owned());
        let servers = TurnServers::new(uris, secret, Duration::from_secs(86_400), clock);
        let credentials = servers.credentials(user_id!("@alice:example.org"));
        assert_eq!(credentials.username, "1443866031:@alice:example.org");
        // printf '1443866031:@alice:example.org' | openssl dgst -sha1 -hmac secret -binary | base64
        assert_eq!(credentials.password, "OSUMKKtGxEOVovTpzZ9zWClZW4A=");
        let other = servers.credentials(user_id!("@bob:example.org"));
        assert_ne!(other.password, credentials.password);
    }
}
