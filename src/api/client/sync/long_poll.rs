//! What both kinds of sync do while a client waits for news.

use axum::extract::FromRef;
use ruma::presence::PresenceState;
use tokio::time::Instant;

use crate::{
    api::{ApiError, ApiState, Requester, blocking},
    sync::{AccountLooks, Notifier, Registration, SyncError, wait_for_news},
    users::{
        Presence, Sessions,
        presence::{Asker, Syncing},
    },
};

/// Makes clients wait. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LongPolls {
    notifier: Notifier,
    sessions: Sessions,
    presence: Presence,
    looks: AccountLooks,
}

impl FromRef<ApiState> for LongPolls {
    fn from_ref(state: &ApiState) -> Self {
        Self {
            notifier: state.sync.notifier.clone(),
            sessions: state.users.sessions.clone(),
            presence: state.users.presence.clone(),
            looks: state.sync.account_looks.clone(),
        }
    }
}

/// A request that may wait. While it lives, its user is there, and is woken by news.
#[derive(Debug)]
pub struct LongPoll {
    requester: Requester,
    sessions: Sessions,
    looks: AccountLooks,
    registration: Registration,
    _syncing: Option<Syncing>,
}

impl LongPolls {
    /// Begins a request, which is to be done before anything is read that it relies on: nothing that happens
    /// meanwhile is missed.
    pub fn begin(&self, requester: Requester, shown_as: PresenceState) -> LongPoll {
        let asker = Asker { user: requester.user, user_id: &requester.user_id, device: &requester.device_id };
        let syncing = self.presence.sync(&asker, shown_as);
        let registration = self.notifier.register(requester.user, &requester.device_id);
        let (sessions, looks) = (self.sessions.clone(), self.looks.clone());
        LongPoll { requester, sessions, looks, registration, _syncing: syncing }
    }
}

impl LongPoll {
    /// Looks until there is news or the time is over; what was found last is answered, news or not. `look` gets what
    /// was found before and gives the reading that is then done, on a thread that may block.
    pub async fn answer<T, L>(
        &self,
        deadline: Instant,
        look: impl Fn(Option<&T>) -> L,
        is_news: impl Fn(&T) -> bool,
    ) -> Result<T, ApiError>
    where
        T: Send + 'static,
        L: FnOnce() -> Result<T, SyncError> + Send + 'static,
    {
        let run = |before: Option<&T>| {
            let look = look(before);
            let (requester, sessions) = (self.requester.clone(), self.sessions.clone());
            async move {
                let turn = self.looks.begin(requester.user).await;
                blocking::run(move || {
                    // Held as long as the thread is, also when the client has gone.
                    let _turn = turn;
                    requester.check_session(&sessions)?;
                    Ok::<_, ApiError>(look()?)
                })
                .await
            }
        };
        wait_for_news(&self.registration, deadline, run, is_news).await
    }
}
