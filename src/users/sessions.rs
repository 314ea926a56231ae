//! Sessions: which access token belongs to which device of which user.
//!
//! A token is kept as its hash only. Looking up the token of a request costs no disk read for devices
//! that are active: a bounded cache answers, and forgets what a log-out ends before the log-out is
//! answered. The main type is [`Sessions`].

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use quick_cache::sync::Cache;
use ruma::{DeviceId, MilliSecondsSinceUnixEpoch, OwnedDeviceId, OwnedUserId, UserId};

use super::{
    AccountData, Appservice, Appservices, Clock, UserError, dehydrated_devices, keys,
    last_seen::{LastSeen, SeenMark},
    limits,
    refresh_tokens::{self, RefreshGrant},
    secrets::{self, SecretHash},
    to_device,
};
use crate::storage::{
    Direction, Json, Read, ShortUserId, Storage, StorageError, Transaction,
    records::{DeviceRecord, MessageRateOverride},
    tables,
};

/// Who makes a request.
#[derive(Debug)]
pub struct Session {
    /// The user.
    pub user_id: OwnedUserId,
    /// The user's short id.
    pub user: ShortUserId,
    /// The device.
    pub device_id: OwnedDeviceId,
    /// Whether the user administers this server.
    pub is_admin: bool,
    /// Whether the account is locked: then the session can do nothing but end.
    pub is_locked: bool,
    /// Whether the account is suspended: then its user may read, and do little else.
    pub is_suspended: bool,
    /// How often the user may send events, where that is not as for everybody.
    pub message_rate: Option<MessageRateOverride>,
    /// Until when the access token holds, in milliseconds since 1970; `None` for good.
    pub expires_at_ms: Option<u64>,
    pub(super) seen: SeenMark,
}

/// What a client says of itself when it logs in.
#[derive(Debug, Clone, Default)]
pub struct NewDevice {
    /// A device id of before, to take its place, or a new one by the client's wish.
    pub device_id: Option<OwnedDeviceId>,
    /// The name of a new device.
    pub display_name: Option<String>,
    /// Whether the client can refresh its access token, so that it may be one that expires.
    pub is_refreshable: bool,
}

/// Cuts a text to at most `bytes_max` bytes, between characters.
pub(super) fn cut(mut text: String, bytes_max: usize) -> String {
    let end = (0..=bytes_max.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    text.truncate(end);
    text
}

/// A session to be begun.
#[derive(Debug)]
pub(super) struct PreparedSession {
    pub(super) started: StartedSession,
    display_name: Option<String>,
    now: MilliSecondsSinceUnixEpoch,
    /// Until when the access token holds, in milliseconds since 1970.
    expires_at_ms: Option<u64>,
}

/// A session that has begun.
#[derive(Clone, PartialEq, Eq)]
pub struct StartedSession {
    /// The user.
    pub user_id: OwnedUserId,
    /// The device.
    pub device_id: OwnedDeviceId,
    /// The secret that the client shows with its requests; it is kept nowhere else.
    pub access_token: String,
    /// The other secret, for a client that can refresh its access token: that one expires then.
    pub refresh: Option<RefreshGrant>,
}

impl std::fmt::Debug for StartedSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StartedSession")
            .field("user_id", &self.user_id)
            .field("device_id", &self.device_id)
            .finish_non_exhaustive()
    }
}

/// The service for sessions; cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    inner: Arc<Inner>,
    access_token_lifetime: Duration,
}

struct Inner {
    storage: Storage,
    cache: Cache<SecretHash, Arc<Session>>,
    /// Counts how often sessions were forgotten; held while the cache is filled or emptied, so that a
    /// session read before its end is not cached after it.
    forgotten: Mutex<u64>,
    last_seen: LastSeen,
    clock: Clock,
    appservices: Appservices,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").field("cached", &self.inner.cache.len()).finish_non_exhaustive()
    }
}

impl Sessions {
    /// The service.
    pub fn new(storage: Storage, clock: Clock) -> Self {
        let cache = Cache::new(limits::SESSIONS_CACHED_MAX);
        let last_seen = LastSeen::new(storage.clone());
        let appservices = Appservices::default();
        let inner = Inner { storage, cache, forgotten: Mutex::new(0), last_seen, clock, appservices };
        Self { inner: Arc::new(inner), access_token_lifetime: limits::ACCESS_TOKEN_LIFETIME }
    }

    /// As `self`, with access tokens that hold so long where the client can refresh them.
    #[must_use]
    pub fn with_access_token_lifetime(self, access_token_lifetime: Duration) -> Self {
        Self { access_token_lifetime, ..self }
    }

    /// Chooses what is to be chosen for a new session, before the transaction.
    pub(super) fn prepare(&self, device: NewDevice, user_id: &UserId) -> Result<PreparedSession, UserError> {
        let device_id = match device.device_id {
            Some(id) if id.as_bytes().is_empty() => DeviceId::new(),
            Some(id) if id.as_bytes().len() > limits::DEVICE_ID_BYTES_MAX => {
                return Err(UserError::DeviceIdTooLong);
            }
            Some(id) => id,
            None => DeviceId::new(),
        };
        let display_name = device.display_name.map(|name| cut(name, limits::DEVICE_DISPLAY_NAME_BYTES_MAX));
        let access_token = secrets::random_access_token()?;
        let refresh = device.is_refreshable.then(|| self.new_refresh_grant()).transpose()?;
        let now = self.inner.clock.now();
        let expires_at_ms = refresh.as_ref().map(|refresh| refresh.expires_at_ms(now));
        let started = StartedSession { user_id: user_id.to_owned(), device_id, access_token, refresh };
        Ok(PreparedSession { started, display_name, now, expires_at_ms })
    }

    pub(super) fn new_refresh_grant(&self) -> Result<RefreshGrant, UserError> {
        RefreshGrant::new(self.access_token_lifetime)
    }

    /// The application services, whose tokens are no sessions but act for many users.
    pub fn appservices(&self) -> &Appservices {
        &self.inner.appservices
    }

    /// The application service whose token this is.
    pub fn appservice(&self, token: &AccessToken) -> Option<Arc<Appservice>> {
        self.inner.appservices.by_token(&token.0)
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    pub(super) fn storage(&self) -> &Storage {
        &self.inner.storage
    }

    /// When and from where devices were last seen.
    pub fn last_seen(&self) -> &LastSeen {
        &self.inner.last_seen
    }

    /// The session of an access token, if the cache has it: never reads from disk.
    pub fn find_cached(&self, token: &AccessToken) -> Option<Arc<Session>> {
        self.inner.cache.get(&token.0)
    }

    /// The session of an access token.
    pub fn find(&self, token: &AccessToken) -> Result<Option<Arc<Session>>, StorageError> {
        if let Some(session) = self.find_cached(token) {
            return Ok(Some(session));
        }
        let inner = &*self.inner;
        let forgotten_before = *inner.lock_forgotten();
        let Some(session) = inner.read(token)? else { return Ok(None) };
        // Only a token's first use comes here without having been confirmed, so this costs one read.
        self.confirm_refresh(&session, &token.0)?;
        let session = Arc::new(session);
        let forgotten = inner.lock_forgotten();
        if *forgotten == forgotten_before {
            inner.cache.insert(token.0, session.clone());
        }
        Ok(Some(session))
    }

    /// Whether the session's access token has expired: the client has to refresh it, or to log in again.
    pub fn has_expired(&self, session: &Session) -> bool {
        session.expires_at_ms.is_some_and(|end| end <= self.inner.clock.now_ms())
    }

    /// Whether the device is logged in now: for requests that wait, long after their token was looked at. Devices
    /// for which an application service acts are not, as they have no token.
    pub fn is_logged_in(&self, user: ShortUserId, device_id: &DeviceId) -> Result<bool, StorageError> {
        self.inner.storage.contains(&tables::DEVICE_TOKENS, &(user, device_id.to_owned()))
    }

    /// Notes that a session was used just now.
    pub fn seen(&self, session: &Session, address: Option<std::net::IpAddr>) {
        self.inner.last_seen.note(session, self.inner.clock.now_ms(), address);
    }

    /// Logs a user in who has proved who they are. A device that was logged in before gets a new token in
    /// place of the old one.
    pub fn start(&self, user_id: &UserId, device: NewDevice) -> Result<StartedSession, UserError> {
        self.start_until(user_id, device, None)
    }

    /// As [`Sessions::start`], with a session that ends at a time (in milliseconds since 1970) at the latest.
    pub fn start_until(
        &self,
        user_id: &UserId,
        device: NewDevice,
        ends_at_ms: Option<u64>,
    ) -> Result<StartedSession, UserError> {
        let mut session = self.prepare(device, user_id)?;
        session.expires_at_ms = session.expires_at_ms.into_iter().chain(ends_at_ms).min();
        let replaced = self.inner.storage.write(|tx| {
            let unknown = || UserError::UnknownUser(user_id.to_owned());
            let user = tx.short_user_id(user_id)?.ok_or_else(unknown)?;
            let Json(account) = tx.get(&tables::ACCOUNTS, &user)?.ok_or_else(unknown)?;
            if account.is_deactivated {
                return Err(UserError::Deactivated);
            }
            begin(tx, user, &session).map_err(UserError::from)
        })?;
        self.forget(&replaced);
        Ok(session.started)
    }

    /// Logs one device out: it is deleted with its token. True when there was such a device.
    pub fn end(&self, user: ShortUserId, device_id: &DeviceId) -> Result<bool, UserError> {
        self.end_many(user, &[device_id.to_owned()]).map(|ended| ended > 0)
    }

    /// Logs several devices out; answers how many of them there were.
    pub fn end_many(&self, user: ShortUserId, devices: &[OwnedDeviceId]) -> Result<usize, UserError> {
        let (count, ended) = self.inner.storage.write(|tx| {
            let mut count = 0;
            let mut ended = Vec::new();
            for device_id in devices {
                let key = (user, device_id.clone());
                count += usize::from(tx.contains(&tables::DEVICES, &key)?);
                ended.extend(end(tx, &key)?);
            }
            Ok::<_, StorageError>((count, ended))
        })?;
        self.forget(&ended);
        Ok(count)
    }

    /// Logs all devices of a user out.
    pub fn end_all(&self, user: ShortUserId) -> Result<(), UserError> {
        let ended = self.inner.storage.write(|tx| end_all_but(tx, user, None))?;
        self.forget(&ended);
        Ok(())
    }

    /// Forgets sessions that have ended.
    pub(super) fn forget(&self, ended: &[SecretHash]) {
        let mut forgotten = self.inner.lock_forgotten();
        *forgotten += 1;
        for hash in ended {
            self.inner.cache.remove(hash);
        }
    }

    /// Forgets all that is cached, as what is known of users has changed.
    pub(super) fn forget_all(&self) {
        let mut forgotten = self.inner.lock_forgotten();
        *forgotten += 1;
        self.inner.cache.clear();
    }
}

impl Inner {
    fn lock_forgotten(&self) -> std::sync::MutexGuard<'_, u64> {
        self.forgotten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, token: &AccessToken) -> Result<Option<Session>, StorageError> {
        let Some((user, device_id)) = self.storage.get(&tables::ACCESS_TOKENS, &token.0)? else {
            return Ok(None);
        };
        let Some(Json(account)) = self.storage.get(&tables::ACCOUNTS, &user)? else { return Ok(None) };
        if account.is_deactivated {
            return Ok(None);
        }
        let user_id = self.storage.user_id(user)?;
        let seen = SeenMark::default();
        let expires_at_ms = self.storage.get(&tables::TOKEN_EXPIRIES, &token.0)?;
        Ok(Some(Session {
            user_id,
            user,
            device_id,
            is_admin: account.is_admin,
            is_locked: account.is_locked,
            is_suspended: account.is_suspended,
            message_rate: account.message_rate,
            expires_at_ms,
            seen,
        }))
    }
}

/// An access token as a client shows it, hashed.
#[derive(Clone, Copy)]
pub struct AccessToken(SecretHash);

impl AccessToken {
    /// Of the text in the request.
    pub fn new(token: &str) -> Self {
        Self(secrets::hash(token))
    }
}

/// Begins a session in a transaction; answers the access tokens that it replaces, if the device had some.
pub(super) fn begin(
    tx: &mut Transaction<'_>,
    user: ShortUserId,
    session: &PreparedSession,
) -> Result<Vec<SecretHash>, StorageError> {
    let started = &session.started;
    let key = (user, started.device_id.clone());
    let replaced = end_tokens(tx, &key)?;
    if !tx.contains(&tables::DEVICES, &key)? {
        let record = DeviceRecord { display_name: session.display_name.clone(), created_at: session.now };
        tx.put(&tables::DEVICES, &key, &Json(record));
    }
    put_access_token(tx, &key, secrets::hash(&started.access_token), session.expires_at_ms);
    if let Some(refresh) = &started.refresh {
        refresh_tokens::put(tx, &key, secrets::hash(&refresh.refresh_token), None);
    }
    Ok(replaced)
}

/// Makes a token the device's access token, in a transaction.
pub(super) fn put_access_token(
    tx: &mut Transaction<'_>,
    key: &(ShortUserId, OwnedDeviceId),
    token: SecretHash,
    expires_at_ms: Option<u64>,
) {
    tx.put(&tables::DEVICE_TOKENS, key, &token);
    tx.put(&tables::ACCESS_TOKENS, &token, key);
    if let Some(end) = expires_at_ms {
        tx.put(&tables::TOKEN_EXPIRIES, &token, &end);
    }
}

/// Deletes an access token, in a transaction.
pub(super) fn delete_access_token(tx: &mut Transaction<'_>, token: &SecretHash) {
    tx.delete(&tables::ACCESS_TOKENS, token);
    tx.delete(&tables::TOKEN_EXPIRIES, token);
}

/// Deletes all tokens of a device, in a transaction; answers the access tokens among them.
fn end_tokens(
    tx: &mut Transaction<'_>,
    key: &(ShortUserId, OwnedDeviceId),
) -> Result<Vec<SecretHash>, StorageError> {
    let mut ended = refresh_tokens::end(tx, key)?;
    ended.extend(tx.get(&tables::DEVICE_TOKENS, key)?);
    for token in &ended {
        delete_access_token(tx, token);
    }
    tx.delete(&tables::DEVICE_TOKENS, key);
    Ok(ended)
}

/// Deletes a device with its session, in a transaction; answers its access tokens.
pub(super) fn end(
    tx: &mut Transaction<'_>,
    key: &(ShortUserId, OwnedDeviceId),
) -> Result<Vec<SecretHash>, StorageError> {
    let ended = end_tokens(tx, key)?;
    keys::forget_device(tx, key.0, &key.1)?;
    to_device::drop_queue(tx, key.0, &key.1)?;
    dehydrated_devices::forget(tx, key)?;
    tx.delete(&tables::DEVICES_LAST_SEEN, key);
    tx.delete(&tables::DEVICES, key);
    end_pushers(tx, key)?;
    // What the user set for this device's notifications, also by its name from before the specification (MSC3890).
    for settings in ["m.local_notification_settings", "org.matrix.msc3890.local_notification_settings"] {
        AccountData::delete_in(tx, key.0, None, &format!("{settings}.{}", key.1))?;
    }
    Ok(ended)
}

/// Deletes the pushers that a device's session has set: who is logged out is told nothing more. What they had
/// still to send is dropped when it is their turn.
fn end_pushers(tx: &mut Transaction<'_>, key: &(ShortUserId, OwnedDeviceId)) -> Result<(), StorageError> {
    let (user, device_id) = key;
    let range = tables::PUSHERS.prefix(&(*user,));
    let pushers = tx.scan(&tables::PUSHERS, &range, Direction::Forward).collect::<Result<Vec<_>, _>>()?;
    for ((_, app_id, pushkey), Json(pusher)) in pushers {
        if pusher.device_id == *device_id {
            tx.delete(&tables::PUSHER_USERS, &(app_id.clone(), pushkey.clone(), *user));
            tx.delete(&tables::PUSHERS, &(*user, app_id, pushkey));
        }
    }
    Ok(())
}

/// Deletes a user's devices with their sessions, but for one, in a transaction; answers their tokens.
pub(super) fn end_all_but(
    tx: &mut Transaction<'_>,
    user: ShortUserId,
    kept: Option<&DeviceId>,
) -> Result<Vec<SecretHash>, UserError> {
    let range = tables::DEVICES.prefix(&(user,));
    let keys = tx.scan(&tables::DEVICES, &range, Direction::Forward).map(|row| row.map(|(key, _)| key));
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    let mut ended = Vec::new();
    for key in keys.iter().filter(|(_, device_id)| Some(&**device_id) != kept) {
        ended.extend(end(tx, key)?);
    }
    Ok(ended)
}

#[cfg(test)]
mod tests;
