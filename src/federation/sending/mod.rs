//! Sending to other servers: events, and what is no event.
//!
//! Each event of this server that concerns others has one row in the outbox, written in the event's own
//! transaction. From there it goes to the servers that were in the room at it: each has a line of its own, and one
//! transaction at a time is under way to it, with the same id and contents however often it is repeated. A server
//! that is not there costs a timer. When too much has gathered for it, it counts as behind: then it is sent the
//! newest event of each room once it is back, and asks for the others itself.
//!
//! On disk: the outbox, a row a server with how far it has got and what is under way, and the EDUs that must
//! arrive. In memory, bounded: which numbers of the outbox wait for whom, and news of which only the newest counts
//! (typing, receipts, presence). After a restart the lines are made from the outbox again. Nothing here asks
//! whether an event is allowed, or knows HTTP. Main type: [`OutgoingQueues`].

mod catch_up;
mod deliver;
mod fan_out;
mod limits;
mod prepare;
mod queues;
mod signed_way;
#[cfg(test)]
mod tests;
mod volatile;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ruma::{OwnedServerName, OwnedUserId, ServerName};
use tokio::{sync::Notify, task::JoinSet};

pub use self::{
    deliver::{Deliver, Delivery, DeliveryError, OutgoingTransaction},
    queues::QueueTotals,
    signed_way::SignedWay,
};
use self::{fan_out::Intake, queues::Queues, volatile::PresenceNews};
use crate::{
    net::Shutdown,
    rooms::Typing,
    storage::{
        Direction, Json, Read, ShortRoomId, ShortServerId, Storage, StorageError,
        tables::{DESTINATIONS, OUTGOING_EDU_COUNTS},
    },
    users::{Clock, presence::UserPresence},
};

/// The queues to all other servers. Cheap to clone.
#[derive(Clone)]
pub struct OutgoingQueues(Arc<Sender>);

impl std::fmt::Debug for OutgoingQueues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutgoingQueues").field("totals", &self.totals()).finish_non_exhaustive()
    }
}

struct Sender {
    storage: Storage,
    own_name: OwnedServerName,
    own: ShortServerId,
    clock: Clock,
    typing: Typing,
    way: Box<dyn Deliver>,
    queues: Queues,
    intake: Intake,
    /// Woken when the intake has something.
    news: Notify,
    /// Rows of the outbox up to this number have been given to the servers they are for.
    worked_off: AtomicU64,
    rows_unpruned: AtomicU64,
    /// Keeps the outbox from being pruned while a server falls behind or catches up.
    housekeeping: Mutex<()>,
    /// Who of this server's users the others have been told is typing.
    typing_told: Mutex<BTreeMap<ShortRoomId, BTreeSet<OwnedUserId>>>,
    /// What ids of transactions begin with: when this run began, as a time and as a position. The position differs
    /// from run to run whatever the clock says; the time, should the database be an old one put back.
    run: String,
    transactions: AtomicU64,
}

impl OutgoingQueues {
    /// Queues for what `storage` has for other servers; nothing is sent before [`run`](Self::run).
    pub fn new(
        storage: Storage,
        own_name: OwnedServerName,
        clock: Clock,
        typing: Typing,
        way: impl Deliver,
    ) -> Result<Self, StorageError> {
        let (own, start) = storage
            .write(|rows| Ok::<_, StorageError>((rows.intern_server(&own_name)?, rows.next_position())))?;
        let sender = Arc::new(Sender {
            queues: Queues::new(storage.clone()),
            run: format!("{}-{}", clock.now_ms(), start.0),
            own_name,
            own,
            clock,
            typing: typing.clone(),
            way: Box::new(way),
            intake: Intake::default(),
            news: Notify::new(),
            worked_off: AtomicU64::new(0),
            rows_unpruned: AtomicU64::new(0),
            housekeeping: Mutex::default(),
            typing_told: Mutex::default(),
            transactions: AtomicU64::new(0),
            storage: storage.clone(),
        });
        // The store and the list of who types must not keep the queues alive, which keep them.
        let listening = Arc::downgrade(&sender);
        storage.on_durable(move |changes| {
            if let Some(sender) = listening.upgrade()
                && sender.intake.take_over(changes)
            {
                sender.news.notify_one();
            }
        });
        let listening = Arc::downgrade(&sender);
        typing.on_change(move |room| {
            if let Some(sender) = listening.upgrade() {
                sender.intake.typing_changed(room);
                sender.news.notify_one();
            }
        });
        Ok(Self(sender))
    }

    /// A user of this server has another presence: all servers that share a room with the user are told. Quick;
    /// never waits.
    pub fn presence_changed(&self, shown: &UserPresence) {
        let news = PresenceNews {
            presence: shown.state.clone(),
            status_msg: shown.status_msg.clone(),
            last_active_ms: shown.last_active_ms,
            is_currently_active: shown.is_currently_active,
        };
        self.0.intake.presence_changed(shown.user_id.clone(), news);
        self.0.news.notify_one();
    }

    /// Listens to which servers that were left alone are there again.
    pub fn listen_to(&self, backoff: &super::Backoff) {
        // The way to other servers has the back-off, and these queues have the way.
        let listening = Arc::downgrade(&self.0);
        backoff.on_alive(move |server| {
            if let Some(sender) = listening.upgrade() {
                Self(sender).seen_alive(server);
            }
        });
    }

    /// A server that was left alone has shown that it is there: what waits for it is sent at once. Quick.
    pub fn seen_alive(&self, server: &ServerName) {
        if let Ok(Some(server)) = self.0.storage.short_server_id(server) {
            self.0.queues.is_alive(server);
        }
    }

    /// Figures for the operator.
    pub fn totals(&self) -> QueueTotals {
        self.0.queues.totals()
    }

    /// Sends until the server stops. To be run once.
    pub async fn run(self, shutdown: Shutdown) {
        tokio::join!(self.0.clone().run_fan_out(shutdown.clone()), self.0.clone().run_transactions(shutdown));
    }
}

impl Sender {
    fn housekeeping(&self) -> MutexGuard<'_, ()> {
        self.housekeeping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An id that no transaction of this server has had.
    fn next_id(&self) -> String {
        format!("{}-{}", self.run, self.transactions.fetch_add(1, Ordering::Relaxed))
    }

    /// Gives news to the servers they are for, beginning with what an earlier run of the server has left.
    async fn run_fan_out(self: Arc<Self>, shutdown: Shutdown) {
        self.clone().blocking("read the outbox", Self::resume).await;
        loop {
            let repeat = tokio::select! {
                () = self.news.notified() => false,
                () = tokio::time::sleep(limits::TYPING_REPEAT), if self.has_told_typing() => true,
                () = shutdown.triggered() => return,
            };
            let work = if repeat { Self::repeat_typing } else { Self::fan_out };
            self.clone().blocking("give news to the servers they are for", work).await;
        }
    }

    fn has_told_typing(&self) -> bool {
        !self.typing_told.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    async fn blocking(
        self: Arc<Self>,
        what: &'static str,
        work: impl FnOnce(&Self) -> Result<(), StorageError> + Send + 'static,
    ) {
        match tokio::task::spawn_blocking(move || work(&self)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "could not {what}"),
            Err(error) => tracing::error!(%error, "a task that was to {what} has ended early"),
        }
    }

    /// What an earlier run of the server has left: servers that are behind or to which something was under way,
    /// EDUs, and the outbox.
    fn resume(&self) -> Result<(), StorageError> {
        for row in self.storage.scan(&DESTINATIONS, &DESTINATIONS.all(), Direction::Forward) {
            let (server, Json(row)) = row?;
            if row.is_behind || row.in_flight.is_some() {
                self.queues.look_at(server)?;
            }
        }
        for row in self.storage.scan(&OUTGOING_EDU_COUNTS, &OUTGOING_EDU_COUNTS.all(), Direction::Forward) {
            self.queues.look_at(row?.0)?;
        }
        while self.fan_out_events()? {}
        Ok(())
    }

    /// Runs transactions, as many at a time as the limits allow.
    async fn run_transactions(self: Arc<Self>, shutdown: Shutdown) {
        let mut under_way = JoinSet::new();
        loop {
            let next_timer = self.queues.run_timers(self.clock.now_ms());
            while let Some(server) = self.queues.begin_next() {
                under_way.spawn(self.clone().send_next(server));
            }
            let pause = next_timer.map(|at| Duration::from_millis(at.saturating_sub(self.clock.now_ms())));
            // A clock that is set back must not stretch the sleep.
            let pause = pause.unwrap_or(limits::REFUSED_PAUSE_MAX).min(limits::REFUSED_PAUSE_MAX);
            tokio::select! {
                () = self.queues.work.notified() => {}
                Some(_ended) = under_way.join_next() => {}
                () = tokio::time::sleep(pause) => {}
                () = shutdown.triggered() => return,
            }
        }
    }

    /// One transaction to one server.
    async fn send_next(self: Arc<Self>, server: ShortServerId) {
        let sender = self.clone();
        let prepared = tokio::task::spawn_blocking(move || {
            let name = sender.storage.server_name(server)?;
            if let Some(prepared) = sender.prepare(server)? {
                return Ok(Some((name, prepared)));
            }
            sender.queues.arrived(server, sender.destination_row(server)?.delivered)?;
            sender.queues.end(server);
            Ok::<_, StorageError>(None)
        });
        let (name, prepared) = match prepared.await {
            Ok(Ok(Some(prepared))) => prepared,
            Ok(Ok(None)) => return,
            Ok(Err(error)) => return self.give_up_for_now(server, &error),
            Err(error) => return self.give_up_for_now(server, &error),
        };
        let outcome = self.way.deliver(name.clone(), prepared.transaction.clone()).await;
        let sender = self.clone();
        let noted = tokio::task::spawn_blocking(move || match outcome {
            Ok(()) => {
                sender.note_arrived(server, &prepared)?;
                sender.queues.end(server);
                Ok(())
            }
            Err(error) => {
                if !matches!(error, DeliveryError::Later { .. }) {
                    tracing::debug!(server = %name, %error, "a transaction did not arrive");
                }
                sender.note_failed(server, prepared, &error)
            }
        });
        match noted.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.give_up_for_now(server, &error as &StorageError),
            Err(error) => self.give_up_for_now(server, &error),
        }
    }

    /// Something is wrong on our side: the server's turn comes again later.
    fn give_up_for_now(&self, server: ShortServerId, error: &dyn std::fmt::Display) {
        tracing::error!(%error, "could not send to another server");
        let now_ms = self.clock.now_ms();
        let pause = u64::try_from(limits::REFUSED_PAUSE_MIN.as_millis()).unwrap_or(u64::MAX);
        self.queues.end_failed(server, now_ms, now_ms.saturating_add(pause));
    }
}
