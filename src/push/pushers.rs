//! Where users' notifications are sent to (client-server API, "Push Notifications": pushers), and whether each
//! is on (MSC3881).

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use ruma::OwnedDeviceId;
use serde_json::{Map, Value};

use super::{PushError, limits};
use crate::{
    storage::{
        Direction, Json, Read, ShortUserId, Storage, StorageError, Transaction,
        records::PusherRecord,
        tables::{PUSH_SCANNED, PUSHER_USERS, PUSHERS},
    },
    users::Clock,
};

/// A user's pusher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pusher {
    /// Whose it is.
    pub user: ShortUserId,
    /// The application.
    pub app_id: String,
    /// The push key.
    pub pushkey: String,
    /// What is known of it.
    pub record: PusherRecord,
}

/// A pusher to be set.
#[derive(Debug, Clone)]
pub struct NewPusher {
    /// The application.
    pub app_id: String,
    /// The push key.
    pub pushkey: String,
    /// Names the application, for people.
    pub app_display_name: String,
    /// Names the device, for people.
    pub device_display_name: String,
    /// The profile of rules that the client means.
    pub profile_tag: Option<String>,
    /// The language of notifications.
    pub lang: String,
    /// `url`, perhaps `format`, and what the gateway gets besides.
    pub data: Map<String, Value>,
    /// The device whose session sets it.
    pub device_id: OwnedDeviceId,
    /// Whether other users' pushers of the same application and key stay.
    pub append: bool,
    /// Whether it is on; `None` leaves that as it is.
    pub enabled: Option<bool>,
}

impl NewPusher {
    /// The gateway's URL. It must lead to the one path that gateways have, so that nobody makes this server
    /// send requests to whatever place.
    pub fn gateway(&self) -> Result<&str, PushError> {
        let url = self.data.get("url").and_then(Value::as_str);
        let url = url.ok_or(PushError::BadPusher("`data` has no `url`"))?;
        // As it is asked later on: what looks like a path may be a query.
        let asked = url.parse::<http::Uri>().ok();
        let asked = asked.filter(|uri| matches!(uri.scheme_str(), Some("https" | "http")));
        if asked.is_none_or(|uri| uri.path() != "/_matrix/push/v1/notify") {
            return Err(PushError::BadPusher("its URL does not lead to /_matrix/push/v1/notify"));
        }
        Ok(url)
    }

    fn check(&self) -> Result<(), PushError> {
        if self.data.get("format").is_some_and(|format| !format.is_string()) {
            return Err(PushError::BadPusher("the `format` in its `data` is not a text"));
        }
        self.gateway()?;
        let texts = [&self.app_display_name, &self.device_display_name, &self.lang];
        let mut texts = texts.into_iter().chain(&self.profile_tag);
        let data = serde_json::to_string(&self.data)?;
        if self.pushkey.is_empty() || self.pushkey.len() > limits::PUSHKEY_BYTES_MAX {
            return Err(PushError::BadPusher("the push key is empty or too long"));
        }
        if self.app_id.is_empty() || self.app_id.len() > limits::APP_ID_BYTES_MAX {
            return Err(PushError::BadPusher("the application id is empty or too long"));
        }
        let is_too_long = texts.any(|text| text.len() > limits::PUSHER_TEXT_BYTES_MAX)
            || data.len() > limits::PUSHER_DATA_BYTES_MAX;
        if is_too_long { Err(PushError::BadPusher("it is too long")) } else { Ok(()) }
    }
}

/// The pushers of all users. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pushers {
    storage: Storage,
    clock: Clock,
    changes: Arc<AtomicU64>,
}

impl Pushers {
    /// Over the store.
    pub fn new(storage: Storage, clock: Clock) -> Self {
        Self { storage, clock, changes: Arc::default() }
    }

    /// A user's pushers. Blocks, as all of these.
    pub fn of_user(&self, user: ShortUserId) -> Result<Vec<Pusher>, StorageError> {
        of_user(&self.storage, user)
    }

    /// All users who have pushers, each once.
    pub(super) fn users(&self) -> Result<Vec<ShortUserId>, StorageError> {
        let rows = self.storage.scan(&PUSHERS, &PUSHERS.all(), Direction::Forward);
        let mut users = rows.map(|row| row.map(|((user, ..), _)| user)).collect::<Result<Vec<_>, _>>()?;
        users.dedup();
        Ok(users)
    }

    /// Counts changes of who has pushers. Logging out is not counted: who has none any more costs a look.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Adds a pusher, or changes the one with its application and key.
    pub fn set(&self, user: ShortUserId, pusher: NewPusher) -> Result<(), PushError> {
        pusher.check()?;
        let now_ms = self.clock.now_ms();
        self.storage.write(|tx| {
            let key = (user, pusher.app_id.clone(), pusher.pushkey.clone());
            let known = tx.get(&PUSHERS, &key)?.map(|Json(record)| record);
            if known.is_none() && of_user(tx, user)?.len() >= limits::PUSHERS_PER_USER_MAX {
                return Err(PushError::TooManyPushers);
            }
            if !pusher.append {
                remove_of_others(tx, &key)?;
            }
            if tx.scan(&PUSHERS, &PUSHERS.all(), Direction::Forward).next().is_none() {
                // Nobody had one: nothing up to here is to be pushed.
                let position = tx.next_position();
                tx.put(&PUSH_SCANNED, &(), &position);
            }
            let since = tx.next_position();
            let enabled = pusher.enabled.or(known.as_ref().map(|known| known.enabled)).unwrap_or(true);
            let record = PusherRecord {
                number: known.as_ref().map_or(since.0, |known| known.number),
                app_display_name: pusher.app_display_name,
                device_display_name: pusher.device_display_name,
                profile_tag: pusher.profile_tag,
                lang: pusher.lang,
                data: pusher.data,
                device_id: pusher.device_id,
                since: known.map_or(since, |known| known.since),
                set_ms: now_ms,
                enabled,
            };
            tx.put(&PUSHER_USERS, &(pusher.app_id.clone(), pusher.pushkey.clone(), user), &());
            tx.put(&PUSHERS, &key, &Json(record));
            Ok(())
        })?;
        self.changes.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    /// Removes a pusher; it need not exist.
    pub fn remove(&self, user: ShortUserId, app_id: &str, pushkey: &str) -> Result<(), StorageError> {
        self.storage.write(|tx| {
            remove(tx, &(user, app_id.to_owned(), pushkey.to_owned()));
            Ok::<_, StorageError>(())
        })?;
        self.changes.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }
}

fn of_user(reader: &impl Read, user: ShortUserId) -> Result<Vec<Pusher>, StorageError> {
    let rows = reader.scan(&PUSHERS, &PUSHERS.prefix(&(user,)), Direction::Forward);
    rows.map(|row| {
        row.map(|((user, app_id, pushkey), Json(record))| Pusher { user, app_id, pushkey, record })
    })
    .collect()
}

fn remove(tx: &mut Transaction<'_>, key: &(ShortUserId, String, String)) {
    let (user, app_id, pushkey) = key.clone();
    tx.delete(&PUSHER_USERS, &(app_id, pushkey, user));
    tx.delete(&PUSHERS, key);
}

/// Removes the pushers of other users with the same application and key: the phone has a new user.
fn remove_of_others(
    tx: &mut Transaction<'_>,
    key: &(ShortUserId, String, String),
) -> Result<(), StorageError> {
    let (user, app_id, pushkey) = key;
    let range = PUSHER_USERS.prefix(&(app_id.clone(), pushkey.clone()));
    let rows = tx.scan(&PUSHER_USERS, &range, Direction::Forward).collect::<Result<Vec<_>, _>>()?;
    for ((_, _, other), ()) in rows {
        if other != *user {
            remove(tx, &(other, app_id.clone(), pushkey.clone()));
        }
    }
    Ok(())
}
