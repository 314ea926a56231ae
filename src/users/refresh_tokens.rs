//! Refresh tokens ([specification]): how a client gets a new access token in place of one that expires.
//!
//! What a client has is given up only when it has shown that it got the new: the tokens from before a refresh hold
//! until the new access token or the new refresh token is used. If the answer to a refresh is lost, the client
//! refreshes with the old token again, and what it never got is void. Kept as hashes, as access tokens are.
//!
//! [specification]: https://spec.matrix.org/v1.19/client-server-api/#refreshing-access-tokens

use std::time::Duration;

use ruma::{MilliSecondsSinceUnixEpoch, OwnedDeviceId};

use super::{
    Session, Sessions, UserError,
    secrets::{self, SecretHash},
    sessions,
};
use crate::storage::{
    Json, Read, ShortUserId, StorageError, Transaction,
    records::RefreshRecord,
    tables::{ACCOUNTS, DEVICE_REFRESH_TOKENS, DEVICE_TOKENS, REFRESH_TOKENS},
};

/// What a client gets that can refresh its access token.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshGrant {
    /// The secret for the next refresh; it is kept nowhere else.
    pub refresh_token: String,
    /// How long the access token holds from now on.
    pub expires_in: Duration,
}

impl std::fmt::Debug for RefreshGrant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RefreshGrant").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

impl RefreshGrant {
    pub(super) fn new(expires_in: Duration) -> Result<Self, UserError> {
        Ok(Self { refresh_token: secrets::random_refresh_token()?, expires_in })
    }

    pub(super) fn expires_at_ms(&self, now: MilliSecondsSinceUnixEpoch) -> u64 {
        let lifetime = u64::try_from(self.expires_in.as_millis()).unwrap_or(u64::MAX);
        u64::from(now.get()).saturating_add(lifetime)
    }
}

/// New tokens for a device.
#[derive(Clone)]
pub struct Refreshed {
    /// The new access token.
    pub access_token: String,
    /// The new refresh token, and how long the access token holds.
    pub refresh: RefreshGrant,
}

impl std::fmt::Debug for Refreshed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Refreshed").field("refresh", &self.refresh).finish_non_exhaustive()
    }
}

impl Sessions {
    /// Gives the device of a refresh token new tokens. Refuses a token that is unknown or was replaced.
    pub fn refresh(&self, refresh_token: &str) -> Result<Refreshed, UserError> {
        let shown = secrets::hash(refresh_token);
        let access_token = secrets::random_access_token()?;
        let refresh = self.new_refresh_grant()?;
        let expires_at_ms = refresh.expires_at_ms(self.clock().now());
        let new = (secrets::hash(&access_token), secrets::hash(&refresh.refresh_token));
        let ended = self.storage().write(|tx| {
            let key = tx.get(&REFRESH_TOKENS, &shown)?.ok_or(UserError::UnknownRefreshToken)?;
            let Json(account) = tx.get(&ACCOUNTS, &key.0)?.ok_or(UserError::UnknownRefreshToken)?;
            if account.is_deactivated {
                return Err(UserError::UnknownRefreshToken);
            }
            if account.is_locked {
                return Err(UserError::Locked);
            }
            let ended = replace(tx, &key, shown, new.1)?;
            sessions::put_access_token(tx, &key, new.0, Some(expires_at_ms));
            Ok::<_, UserError>(ended)
        })?;
        self.forget(ended.as_slice());
        Ok(Refreshed { access_token, refresh })
    }

    /// Voids what a device had before its last refresh, when it shows the new access token.
    pub(super) fn confirm_refresh(&self, session: &Session, shown: &SecretHash) -> Result<(), StorageError> {
        let key = (session.user, session.device_id.clone());
        let is_open = |record: &Option<Json<RefreshRecord>>| {
            record.as_ref().is_some_and(|Json(record)| record.before.is_some())
        };
        if session.expires_at_ms.is_none() || !is_open(&self.storage().get(&DEVICE_REFRESH_TOKENS, &key)?) {
            return Ok(());
        }
        let ended = self.storage().write(|tx| {
            let Some(Json(record)) = tx.get(&DEVICE_REFRESH_TOKENS, &key)? else { return Ok(None) };
            if tx.get(&DEVICE_TOKENS, &key)?.as_ref() != Some(shown) {
                return Ok(None);
            }
            let ended = record.before.map(|before| void(tx, before));
            put(tx, &key, record.newest, None);
            Ok::<_, StorageError>(ended)
        })?;
        self.forget(ended.as_slice());
        Ok(())
    }
}

/// Puts a new refresh token in the place that the one shown says, and voids what can't be needed any more; answers
/// the access token among it.
fn replace(
    tx: &mut Transaction<'_>,
    key: &(ShortUserId, OwnedDeviceId),
    shown: SecretHash,
    new: SecretHash,
) -> Result<Option<SecretHash>, UserError> {
    let Some(Json(record)) = tx.get(&DEVICE_REFRESH_TOKENS, key)? else {
        return Err(UserError::UnknownRefreshToken);
    };
    let access = tx.get(&DEVICE_TOKENS, key)?;
    if record.newest == shown {
        let ended = record.before.map(|before| void(tx, before));
        put(tx, key, new, access.map(|access| (access, shown)));
        return Ok(ended);
    }
    // The client never got the newest ones.
    let before = record.before.filter(|(_, refresh)| *refresh == shown);
    let before = before.ok_or(UserError::UnknownRefreshToken)?;
    tx.delete(&REFRESH_TOKENS, &record.newest);
    if let Some(access) = &access {
        sessions::delete_access_token(tx, access);
    }
    put(tx, key, new, Some(before));
    Ok(access)
}

fn void(tx: &mut Transaction<'_>, (access, refresh): (SecretHash, SecretHash)) -> SecretHash {
    sessions::delete_access_token(tx, &access);
    tx.delete(&REFRESH_TOKENS, &refresh);
    access
}

/// Makes a token the device's newest refresh token, in a transaction.
pub(super) fn put(
    tx: &mut Transaction<'_>,
    key: &(ShortUserId, OwnedDeviceId),
    newest: SecretHash,
    before: Option<(SecretHash, SecretHash)>,
) {
    tx.put(&REFRESH_TOKENS, &newest, key);
    tx.put(&DEVICE_REFRESH_TOKENS, key, &Json(RefreshRecord { newest, before }));
}

/// Deletes a device's refresh tokens, in a transaction; answers the access token from before the last refresh, which
/// is still to be deleted.
pub(super) fn end(
    tx: &mut Transaction<'_>,
    key: &(ShortUserId, OwnedDeviceId),
) -> Result<Vec<SecretHash>, StorageError> {
    let Some(Json(record)) = tx.get(&DEVICE_REFRESH_TOKENS, key)? else { return Ok(Vec::new()) };
    tx.delete(&REFRESH_TOKENS, &record.newest);
    tx.delete(&DEVICE_REFRESH_TOKENS, key);
    let Some((access, refresh)) = record.before else { return Ok(Vec::new()) };
    tx.delete(&REFRESH_TOKENS, &refresh);
    Ok(vec![access])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        storage::{Direction, tables},
        users::{
            AccessToken, NewDevice,
            fixture::{Fixture, TestUser},
        },
    };

    fn refreshable(server: &Fixture, user: &TestUser) -> (String, String) {
        let device = NewDevice { is_refreshable: true, ..NewDevice::default() };
        let started = server.sessions.start(&user.user_id, device).unwrap();
        (started.access_token, started.refresh.unwrap().refresh_token)
    }

    fn holds(server: &Fixture, token: &str) -> bool {
        server
            .sessions
            .find(&AccessToken::new(token))
            .unwrap()
            .is_some_and(|session| !server.sessions.has_expired(&session))
    }

    fn refresh(server: &Fixture, token: &str) -> Result<(String, String), UserError> {
        server.sessions.refresh(token).map(|new| (new.access_token, new.refresh.refresh_token))
    }

    #[test]
    fn the_old_tokens_hold_until_the_new_access_token_is_used() {
        let server = Fixture::new();
        let alice = server.user("alice");
        let (access, token) = refreshable(&server, &alice);
        assert!(holds(&server, &access));
        let (new_access, new_token) = refresh(&server, &token).unwrap();
        assert!(holds(&server, &access), "the new one was not used yet");
        assert!(holds(&server, &new_access));
        assert!(!holds(&server, &access));
        assert!(matches!(refresh(&server, &token), Err(UserError::UnknownRefreshToken)));
        assert!(refresh(&server, &new_token).is_ok());
    }

    #[test]
    fn the_old_tokens_hold_until_the_new_refresh_token_is_used() {
        let server = Fixture::new();
        let alice = server.user("alice");
        let (access, token) = refreshable(&server, &alice);
        let (second_access, second) = refresh(&server, &token).unwrap();
        refresh(&server, &second).unwrap();
        assert!(!holds(&server, &access));
        assert!(holds(&server, &second_access), "the client may not have got the third");
        assert!(matches!(refresh(&server, &token), Err(UserError::UnknownRefreshToken)));
    }

    #[test]
    fn a_lost_answer_is_made_good_by_refreshing_again() {
        let server = Fixture::new();
        let alice = server.user("alice");
        let (access, token) = refreshable(&server, &alice);
        let lost = refresh(&server, &token).unwrap();
        let (new_access, _) = refresh(&server, &token).unwrap();
        assert!(!holds(&server, &lost.0), "what nobody got is void");
        assert!(matches!(refresh(&server, &lost.1), Err(UserError::UnknownRefreshToken)));
        assert!(holds(&server, &access));
        assert!(holds(&server, &new_access));
    }

    #[test]
    fn an_access_token_expires_and_others_do_not() {
        let server = Fixture::new();
        let alice = server.user("alice");
        let (access, token) = refreshable(&server, &alice);
        assert!(holds(&server, &access));
        server
            .time
            .advance_ms(u64::try_from(super::super::limits::ACCESS_TOKEN_LIFETIME.as_millis()).unwrap());
        assert!(!holds(&server, &access));
        assert!(holds(&server, &alice.access_token), "its client can't refresh");
        let (new_access, _) = refresh(&server, &token).unwrap();
        assert!(holds(&server, &new_access));
    }

    #[test]
    fn logging_out_leaves_no_token_behind() {
        let server = Fixture::new();
        let alice = server.user("alice");
        let (_, token) = refreshable(&server, &alice);
        let (access, second) = refresh(&server, &token).unwrap();
        assert!(holds(&server, &access));
        refresh(&server, &second).unwrap();
        server.sessions.end_all(alice.user).unwrap();
        let tables = tables::ALL.iter().filter(|table| table.name.contains("TOKEN"));
        for table in tables.filter(|table| table.number < 100) {
            let end = [table.number + 1];
            let rows = server.storage.raw_scan(table.family, &[table.number], Some(&end), Direction::Forward);
            assert_eq!(rows.count(), 0, "{}", table.name);
        }
    }

    #[test]
    fn a_guess_is_refused() {
        let server = Fixture::new();
        let alice = server.user("alice");
        assert!(matches!(refresh(&server, &alice.access_token), Err(UserError::UnknownRefreshToken)));
    }
}
