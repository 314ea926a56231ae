//! Keeps the user directory's copies of other servers' profiles up to date.
//!
//! A member event with a new name may be a new name everywhere or one for that room only, and only the user's own
//! server knows. So the directory marks the entry as stale and tells of it; one task here asks the server and
//! writes what it says. What could not be asked stays stale, and is asked again when somebody finds the user in
//! the directory. Main type: [`ProfileRefresh`].

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use ruma::{OwnedUserId, UserId};
use tokio::sync::Notify;

use super::{RemoteProfiles, limits};
use crate::{
    net::Shutdown,
    storage::{ChangeScope, Json, Read, ShortUserId, Storage, StorageError, tables::DIRECTORY_USERS},
    users::{
        Profile,
        user_directory::{self, ShownProfile},
    },
};

/// Asks for the profiles of users whose entries are stale. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ProfileRefresh {
    storage: Storage,
    profiles: RemoteProfiles,
    waiting: Arc<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    users: Mutex<HashSet<ShortUserId>>,
    news: Notify,
}

impl Waiting {
    fn add(&self, user: ShortUserId) {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if users.len() < limits::STALE_PROFILES_WAITING_MAX {
            users.insert(user);
            self.news.notify_one();
        }
    }

    fn take(&self) -> Option<ShortUserId> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let user = users.iter().next().copied()?;
        users.remove(&user);
        Some(user)
    }
}

impl ProfileRefresh {
    /// Listens to `storage` for entries that become stale.
    pub fn new(storage: Storage, profiles: RemoteProfiles) -> Self {
        let waiting = Arc::new(Waiting::default());
        let listening = waiting.clone();
        storage.on_durable(move |changes| {
            for change in changes {
                if let ChangeScope::StaleProfile(user) = change.scope {
                    listening.add(user);
                }
            }
        });
        Self { storage, profiles, waiting }
    }

    /// Somebody was shown an entry that is stale.
    pub fn shown_stale(&self, user_id: &UserId) -> Result<(), StorageError> {
        if let Some(user) = self.storage.short_user_id(user_id)? {
            self.waiting.add(user);
        }
        Ok(())
    }

    /// Asks, one user after the other, until the server stops. To be run once.
    pub async fn run(self, shutdown: Shutdown) {
        loop {
            let Some(user) = self.waiting.take() else {
                tokio::select! {
                    () = self.waiting.news.notified() => continue,
                    () = shutdown.triggered() => return,
                }
            };
            tokio::select! {
                outcome = self.refresh(user) => if let Err(error) = outcome {
                    tracing::error!(%error, "could not bring an entry of the user directory up to date");
                },
                () = shutdown.triggered() => return,
            }
        }
    }

    async fn refresh(&self, user: ShortUserId) -> Result<(), StorageError> {
        let this = self.clone();
        let Some(user_id) = blocking(move || this.stale(user)).await? else { return Ok(()) };
        let profile = match self.profiles.get_anew(&user_id).await {
            Ok(profile) => profile,
            Err(error) if error.remote_errcode() == Some("M_NOT_FOUND") => Profile::default(),
            Err(error) => {
                tracing::debug!(%user_id, %error, "a profile could not be asked for");
                return Ok(());
            }
        };
        let storage = self.storage.clone();
        blocking(move || {
            storage.write(|tx| user_directory::update(tx, user, &user_id, ShownProfile::of(&profile)))
        })
        .await
    }

    /// The id of a user whose entry is stale.
    fn stale(&self, user: ShortUserId) -> Result<Option<OwnedUserId>, StorageError> {
        match self.storage.get(&DIRECTORY_USERS, &user)? {
            Some(Json(entry)) if entry.is_stale => self.storage.user_id(user).map(Some),
            _ => Ok(None),
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.unwrap_or_else(|_| Err(StorageError::NotDurable("the server is stopping".to_owned())))
}
