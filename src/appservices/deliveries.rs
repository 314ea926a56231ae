//! Runs the router and one delivery for each application service.
//!
//! A delivery sends its queue in order, one transaction at a time. After a failure it pauses, longer each time,
//! for as long as it takes; it goes on at once when the application service shows that it is there, by asking
//! this server for something. A slow or dead application service holds up nobody but itself.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::Method;
use ruma::OwnedUserId;
use tokio::{
    sync::{Notify, Semaphore, watch},
    task::JoinSet,
};

use super::{
    AppserviceClient, AppserviceError, AppserviceQueries, AppserviceQueues, AppserviceRouter, DeliveryError,
    limits, transaction::Transactions,
};
use crate::{
    net::Shutdown,
    rooms::{EventStore, RoomStates},
    storage::StorageError,
    users::{Appservices, Clock, EncryptionKeys, appservices::Appservice},
};

/// Delivers to application services. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Deliveries {
    appservices: Appservices,
    router: AppserviceRouter,
    queues: AppserviceQueues,
    client: AppserviceClient,
    queries: AppserviceQueries,
    transactions: Transactions,
    /// That there is something to route.
    news: Arc<Notify>,
    wakers: Arc<Mutex<HashMap<u64, Waker>>>,
    /// Places for asking for users.
    asking: Arc<Semaphore>,
}

/// What one delivery waits for.
#[derive(Debug, Clone, Default)]
struct Waker {
    /// There is something to send.
    queued: Arc<Notify>,
    /// The application service is there.
    alive: Arc<Notify>,
}

impl Deliveries {
    /// Of what `router` queues.
    pub fn new(
        appservices: Appservices,
        router: AppserviceRouter,
        queues: AppserviceQueues,
        client: AppserviceClient,
        (events, states, keys, clock): (EventStore, RoomStates, EncryptionKeys, Clock),
    ) -> Self {
        let transactions = Transactions { events, states, keys, clock };
        let news = Arc::new(Notify::new());
        let queries = AppserviceQueries::new(appservices.clone(), client.clone());
        Self {
            appservices,
            router,
            queues,
            client,
            queries,
            transactions,
            news,
            wakers: Arc::default(),
            asking: Arc::new(Semaphore::new(limits::USER_QUERIES_MAX)),
        }
    }

    /// To be told whenever something may have happened, or the registrations have changed: looks at nothing itself.
    pub fn news(&self) -> Arc<Notify> {
        self.news.clone()
    }

    /// An application service has asked for something, so it is there: what waits for it is sent at once.
    /// Blocks while the router is at work.
    pub fn is_alive(&self, appservice: &Appservice) {
        let Ok(numbers) = self.router.numbers() else { return };
        if let Some(number) = numbers.get(appservice.place()) {
            self.waker(*number).alive.notify_one();
        }
    }

    fn waker(&self, number: u64) -> Waker {
        let mut wakers = self.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        wakers.entry(number).or_default().clone()
    }

    /// Routes and delivers until the server stops.
    pub async fn run(self, shutdown: Shutdown) {
        let mut running = HashMap::new();
        let mut tasks = JoinSet::new();
        let mut position = self.queues.storage().watch_position();
        let stopping = shutdown.triggered();
        tokio::pin!(stopping);
        loop {
            if let Err(error) = self.route(&mut running, &mut tasks).await {
                tracing::error!(%error, "could not look for what application services are to be told");
                tokio::select! {
                    () = tokio::time::sleep(limits::RETRY_PAUSE_MIN) => {}
                    () = &mut stopping => break,
                }
            }
            tokio::select! {
                () = &mut stopping => break,
                () = self.news.notified() => {}
                changed = position.changed() => if changed.is_err() { break },
                // Only the end of a delivery for one that is not registered any more, or of a question.
                Some(_) = tasks.join_next() => {}
            }
        }
        tasks.shutdown().await;
    }

    /// Queues what there is, and sees to it that a delivery runs for each that is registered.
    async fn route(
        &self,
        running: &mut HashMap<u64, watch::Sender<Arc<Appservice>>>,
        tasks: &mut JoinSet<()>,
    ) -> Result<(), DeliveryError> {
        let router = self.router.clone();
        let (news, numbers) = blocking(move || Ok((router.route()?, router.numbers()?))).await?;
        let registered = self.appservices.current();
        let mut current = HashMap::new();
        for (service, number) in registered.all().iter().zip(&numbers) {
            if service.registration.url.is_some() {
                current.insert(*number, service.clone());
            }
        }
        running.retain(|number, _| current.contains_key(number));
        for (number, service) in &current {
            if let Some(known) = running.get(number) {
                if !Arc::ptr_eq(&known.borrow(), service) {
                    known.send_replace(service.clone());
                }
                continue;
            }
            let (sender, receiver) = watch::channel(service.clone());
            running.insert(*number, sender);
            tasks.spawn(self.clone().deliver(*number, receiver));
        }
        let concerned: Vec<_> = news.unknown_users.iter().flat_map(|user| registered.of_user(user)).collect();
        let is_asked = |place: usize| concerned.iter().any(|service| service.place() == place);
        let waker = |place: &usize| Some(self.waker(*numbers.get(*place)?));
        let (asked, others): (Vec<_>, Vec<_>) = news.told.iter().partition(|place| is_asked(**place));
        others.into_iter().filter_map(waker).for_each(|waker| waker.queued.notify_one());
        let wakers = asked.into_iter().filter_map(waker).collect();
        self.ask_for_users(news.unknown_users, wakers, tasks);
        Ok(())
    }

    /// Gives application services the chance to make users before they are told of what these are spoken to for. Goes on
    /// beside the router: one that does not answer holds up nobody else's deliveries.
    fn ask_for_users(&self, users: BTreeSet<OwnedUserId>, wakers: Vec<Waker>, tasks: &mut JoinSet<()>) {
        if users.is_empty() {
            return;
        }
        let place = self.asking.clone().try_acquire_owned().ok();
        let queries = self.queries.clone();
        tasks.spawn(async move {
            if place.is_some() {
                for user in &users {
                    // Whether they made the account or not: the event is theirs to see.
                    queries.may_make_user(user).await;
                }
            }
            for waker in &wakers {
                waker.queued.notify_one();
            }
        });
    }

    /// Sends one queue, until its application service is not registered any more.
    async fn deliver(self, number: u64, mut service: watch::Receiver<Arc<Appservice>>) {
        let waker = self.waker(number);
        let mut pause = limits::RETRY_PAUSE_MIN;
        loop {
            let current = service.borrow_and_update().clone();
            let outcome = self.send_next(number, &current).await;
            let failed = match outcome {
                Ok(true) => {
                    pause = limits::RETRY_PAUSE_MIN;
                    continue;
                }
                Ok(false) => false,
                Err(error) => {
                    let (id, seconds) = (&current.registration.id, pause.as_secs());
                    tracing::warn!(%id, %error, "an application service was not reached; again in {seconds} s");
                    true
                }
            };
            tokio::select! {
                () = waker.queued.notified(), if !failed => {}
                () = waker.after_failure(pause), if failed => {
                    pause = (pause * 2).min(limits::RETRY_PAUSE_MAX);
                }
                changed = service.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Sends the next transaction; false if there is none.
    async fn send_next(&self, number: u64, service: &Arc<Appservice>) -> Result<bool, SendError> {
        let queues = self.queues.clone();
        let Some(batch) = blocking(move || queues.next(number)).await? else { return Ok(false) };
        self.queues.storage().durable().await.map_err(DeliveryError::from)?;
        let (transaction, until) = (batch.transaction, batch.until);
        let (transactions, of) = (self.transactions.clone(), service.clone());
        let body = blocking(move || transactions.write(&of.registration, &batch)).await?;
        self.put(service, transaction, body.into()).await?;
        let queues = self.queues.clone();
        blocking(move || Ok(queues.acknowledge(number, until)?)).await?;
        Ok(true)
    }

    /// Puts a transaction, on the path of before if the application service does not know the one of now.
    async fn put(&self, service: &Appservice, transaction: u64, body: Bytes) -> Result<(), AppserviceError> {
        let registration = &service.registration;
        let path = format!("/_matrix/app/v1/transactions/{transaction}");
        let time_max = limits::TRANSACTION_TIME_MAX;
        let sent = self.client.send(registration, Method::PUT, &path, body.clone(), time_max).await;
        match sent {
            Err(error) if error.is_unknown_path() => {
                let path = format!("/transactions/{transaction}");
                self.client.send(registration, Method::PUT, &path, body, time_max).await.map(drop)
            }
            sent => sent.map(drop),
        }
    }
}

impl Waker {
    /// Waits for `pause`, or less if the application service shows itself; but never less than the least pause.
    async fn after_failure(&self, pause: Duration) {
        tokio::time::sleep(limits::RETRY_PAUSE_MIN).await;
        tokio::select! {
            () = tokio::time::sleep(pause.saturating_sub(limits::RETRY_PAUSE_MIN)) => {}
            () = self.alive.notified() => {}
        }
    }
}

/// Why a transaction was not sent.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    #[error(transparent)]
    Appservice(#[from] AppserviceError),
}

/// Runs what reads and writes the store off the runtime's threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DeliveryError> + Send + 'static,
) -> Result<T, DeliveryError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(StorageError::NotDurable(format!("the work did not end: {error}")).into()),
    }
}
