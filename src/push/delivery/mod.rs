//! Sends notifications to push gateways (push gateway API).
//!
//! When something has become durable, the rooms that changed since the last look are found from the changes,
//! and their new events are tried on the rules of the members who have pushers ([`scan`]). What notifies goes
//! into each pusher's queue on disk, in the transaction that notes how far was looked. Each pusher with
//! something to send has a task of its own, which sends the oldest, and removes it from the queue only when
//! the gateway has taken it ([`send`]); so a slow gateway holds up nobody else, and a restart loses nothing.
//! A server without pushers does nothing here. The main type is [`PushDelivery`].

mod badge;
mod scan;
mod send;

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use http::Request;
use tokio::{
    sync::{Notify, Semaphore},
    task::JoinSet,
};

use self::{badge::Badges, scan::Scan};
use super::{PushError, Pusher, Pushers, UnreadCounts, limits};
use crate::{
    net::outbound::{OutboundClient, OutboundError, ResponseLimits},
    rooms::{EventStore, RoomError, RoomIndex, RoomStates, Timelines},
    storage::{ChangeScope, ShortUserId, Storage},
    users::Clock,
};

/// What notifications are made from.
#[derive(Debug, Clone)]
pub struct PushSources {
    /// The store.
    pub storage: Storage,
    /// Members.
    pub index: RoomIndex,
    /// Events by id.
    pub events: EventStore,
    /// States by root.
    pub states: RoomStates,
    /// Rooms' histories.
    pub timelines: Timelines,
    /// What is unread, and the users' rules.
    pub unread: UnreadCounts,
    /// Where notifications go.
    pub pushers: Pushers,
    /// The time.
    pub clock: Clock,
    /// Asks gateways; must refuse private addresses.
    pub gateways: OutboundClient,
}

/// Sends notifications. Cheap to clone.
#[derive(Clone)]
pub struct PushDelivery(Arc<Inner>);

impl std::fmt::Debug for PushDelivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PushDelivery").finish_non_exhaustive()
    }
}

struct Inner {
    sources: PushSources,
    badges: Badges,
    news: Arc<News>,
    places: Semaphore,
    at_work: Mutex<AtWork>,
}

/// What has happened since the last look.
#[derive(Default)]
struct News {
    /// Whether anybody has a pusher: without one, nothing is noted and nobody is woken.
    is_watched: AtomicBool,
    changed_users: Mutex<HashSet<ShortUserId>>,
    came: Notify,
}

/// Which pushers have a task, by number, and which are to be told a new count.
#[derive(Default)]
struct AtWork {
    sending: HashSet<u64>,
    badge_due: HashSet<u64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PushDelivery {
    /// From these sources; listens for what becomes durable from now on.
    pub fn new(sources: PushSources) -> Self {
        let news = Arc::new(News::default());
        let told = news.clone();
        sources.storage.on_durable(move |changes| {
            if !told.is_watched.load(Ordering::Acquire) {
                return;
            }
            let users = changes.iter().filter_map(|change| match change.scope {
                ChangeScope::User(user) => Some(user),
                _ => None,
            });
            lock(&told.changed_users).extend(users);
            told.came.notify_one();
        });
        Self(Arc::new(Inner {
            badges: Badges::new(sources.clone()),
            sources,
            news,
            places: Semaphore::new(limits::PUSHES_CONCURRENT_MAX),
            at_work: Mutex::default(),
        }))
    }

    /// To be called when a pusher was set: from the first one on, there is something to watch.
    pub fn pusher_set(&self) {
        self.0.news.is_watched.store(true, Ordering::Release);
        self.0.news.came.notify_one();
    }

    /// Refuses a gateway at an address that is not connected to, so that the user learns it at once. One that
    /// does not answer now may do so later.
    pub async fn check_gateway(&self, url: &str) -> Result<(), PushError> {
        let request = Request::get(url).body(Bytes::new());
        let request = request.map_err(|_| PushError::BadPusher("its URL is not valid"))?;
        let limits = ResponseLimits {
            bytes_max: limits::GATEWAY_ANSWER_BYTES_MAX,
            time_max: limits::GATEWAY_CHECK_TIME_MAX,
            redirects_max: 0,
        };
        match self.0.sources.gateways.stream(request, limits).await {
            Err(OutboundError::NotAllowed(host)) => {
                tracing::warn!(
                    "a user wants notifications to go to {host}, which is at a private address: if you mean to \
                     allow it, add it to outbound.allowed_ranges"
                );
                Err(PushError::GatewayNotAllowed(host))
            }
            _ => Ok(()),
        }
    }

    /// Runs until it is dropped.
    pub async fn run(self) {
        // What was queued before the start, and what came while nobody looked.
        self.pusher_set();
        let mut tasks = JoinSet::new();
        let scan = Arc::new(Mutex::new(Scan::default()));
        loop {
            self.0.news.came.notified().await;
            while tasks.try_join_next().is_some() {}
            let (inner, scan) = (self.0.clone(), scan.clone());
            let looked = tokio::task::spawn_blocking(move || inner.look(&mut lock(&scan))).await;
            match looked {
                Ok(Ok(pushers)) => {
                    for pusher in pushers {
                        self.send_for(&mut tasks, pusher);
                    }
                }
                Ok(Err(e)) => tracing::error!("notifications could not be found: {e}"),
                Err(e) => tracing::error!("looking for notifications failed: {e}"),
            }
        }
    }

    /// Starts the pusher's task, unless it has one.
    fn send_for(&self, tasks: &mut JoinSet<()>, pusher: Pusher) {
        if lock(&self.0.at_work).sending.insert(pusher.record.number) {
            let inner = self.0.clone();
            tasks.spawn(async move { inner.send_all(pusher).await });
        }
    }
}

impl Inner {
    /// Looks for what is new, queues it, and answers which pushers have something to send.
    fn look(&self, scan: &mut Scan) -> Result<Vec<Pusher>, RoomError> {
        let changed_users = std::mem::take(&mut *lock(&self.news.changed_users));
        let found = match scan.look(&self.sources, &self.badges, &changed_users) {
            Ok(found) => found,
            Err(error) => {
                // The next look is theirs.
                lock(&self.news.changed_users).extend(changed_users);
                return Err(error);
            }
        };
        if found.nobody_has_pushers {
            self.news.is_watched.store(false, Ordering::Release);
            // One that was set just now is seen all the same.
            if !self.sources.pushers.users()?.is_empty() {
                self.news.is_watched.store(true, Ordering::Release);
                self.news.came.notify_one();
            }
        }
        let mut pushers: HashMap<u64, Pusher> = HashMap::new();
        let mut at_work = lock(&self.at_work);
        for (pusher, has_new_badge) in found.pushers {
            if has_new_badge {
                at_work.badge_due.insert(pusher.record.number);
            }
            pushers.insert(pusher.record.number, pusher);
        }
        Ok(pushers.into_values().collect())
    }
}
