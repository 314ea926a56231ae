//! Group commit: one thread that syncs, publishes and announces.
//!
//! Writers apply their batches one after the other without waiting for the disk. This thread takes all that
//! has been applied, makes it durable with one fsync, publishes the new position and hands the changes on;
//! meanwhile the next group gathers. So the number of fsyncs follows the disk, not the number of writers.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::sync::watch;

use super::{
    changes::Change, database::Durability, engine::Engine, error::StorageError, short_ids::StreamPosition,
};

/// How far writes have been made durable.
#[derive(Debug, Clone, Default)]
pub struct Published {
    /// Everything up to this position is durable.
    pub position: StreamPosition,
    /// Everything up to this write is durable.
    sequence: u64,
    /// Writes up to this one, and above `sequence`, failed to become durable, with the reason.
    failed: Option<(u64, String)>,
}

impl Published {
    /// True when it is known whether this write is durable.
    pub(super) fn settles(&self, sequence: u64) -> bool {
        self.sequence >= sequence || self.failed.as_ref().is_some_and(|(failed, _)| *failed >= sequence)
    }

    /// Whether a settled write is durable.
    pub(super) fn outcome(&self, sequence: u64) -> Result<(), StorageError> {
        match &self.failed {
            Some((failed, why)) if self.sequence < sequence && *failed >= sequence => {
                Err(StorageError::NotDurable(why.clone()))
            }
            _ => Ok(()),
        }
    }
}

type Listener = Box<dyn Fn(&[Change]) + Send + Sync>;

/// What has been applied and not yet taken by the thread.
#[derive(Default)]
struct Pending {
    sequence: u64,
    position: StreamPosition,
    changes: Vec<Change>,
    stopping: bool,
}

struct Shared {
    engine: Arc<dyn Engine>,
    durability: Durability,
    pending: Mutex<Pending>,
    work: Condvar,
    settled: Condvar,
    published: watch::Sender<Published>,
    listeners: RwLock<Vec<Listener>>,
}

/// The handle; dropping it ends the thread after a last sync.
pub(super) struct SyncThread {
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl SyncThread {
    /// Starts the thread; everything up to `position` is durable already.
    pub(super) fn start(
        engine: Arc<dyn Engine>,
        durability: Durability,
        position: StreamPosition,
    ) -> Result<Self, StorageError> {
        let published = watch::Sender::new(Published { position, ..Published::default() });
        let pending = Mutex::new(Pending { position, ..Pending::default() });
        let shared = Arc::new(Shared {
            engine,
            durability,
            pending,
            work: Condvar::new(),
            settled: Condvar::new(),
            published,
            listeners: RwLock::default(),
        });
        let worker = shared.clone();
        let thread = std::thread::Builder::new()
            .name("storage-sync".to_owned())
            .spawn(move || worker.run())
            .map_err(|e| StorageError::NotDurable(format!("the syncing thread did not start: {e}")))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Says that a write has been applied. Called in the order of the writes.
    pub(super) fn applied(&self, position: StreamPosition, changes: Vec<Change>) {
        let mut pending = self.shared.pending();
        pending.sequence += 1;
        pending.position = position;
        pending.changes.extend(changes);
        drop(pending);
        self.shared.work.notify_one();
    }

    /// The number of the newest applied write.
    pub(super) fn applied_sequence(&self) -> u64 {
        self.shared.pending().sequence
    }

    /// Follows what is durable.
    pub(super) fn published(&self) -> watch::Receiver<Published> {
        self.shared.published.subscribe()
    }

    /// Adds a listener for durable changes.
    pub(super) fn listen(&self, listener: Listener) {
        self.shared.listeners.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// Blocks until it is known whether this write is durable.
    pub(super) fn wait_blocking(&self, sequence: u64) -> Result<(), StorageError> {
        let mut pending = self.shared.pending();
        loop {
            {
                let published = self.shared.published.borrow();
                if published.settles(sequence) {
                    return published.outcome(sequence);
                }
            }
            pending = self.shared.settled.wait(pending).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for SyncThread {
    fn drop(&mut self) {
        self.shared.pending().stopping = true;
        self.shared.work.notify_one();
        if let Some(thread) = self.thread.take().filter(|it| it.thread().id() != std::thread::current().id())
        {
            // A listener that panicked ends the thread with an error, which the panic has reported already.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut done = 0;
        while let Some((sequence, position, changes)) = self.next_group(done) {
            done = sequence;
            let synced = match self.durability {
                Durability::PowerLoss => self.engine.sync(),
                Durability::Process => Ok(()),
            };
            match synced {
                Ok(()) => self.publish(sequence, position, &changes),
                Err(e) => self.fail(sequence, changes, &e.to_string()),
            }
        }
    }

    /// Waits for writes newer than `done`; `None` when stopping and nothing is left.
    fn next_group(&self, done: u64) -> Option<(u64, StreamPosition, Vec<Change>)> {
        let mut pending = self.pending();
        while pending.sequence == done && !pending.stopping {
            pending = self.work.wait(pending).unwrap_or_else(PoisonError::into_inner);
        }
        (pending.sequence > done)
            .then(|| (pending.sequence, pending.position, std::mem::take(&mut pending.changes)))
    }

    fn publish(&self, sequence: u64, position: StreamPosition, changes: &[Change]) {
        self.published.send_replace(Published { position, sequence, failed: None });
        // Taking the lock orders this wake-up after a waiter's check.
        drop(self.pending());
        self.settled.notify_all();
        if !changes.is_empty() {
            for listener in self.listeners.read().unwrap_or_else(PoisonError::into_inner).iter() {
                listener(changes);
            }
        }
    }

    /// Tells the writers; the changes stay for the next group, which may succeed for both.
    fn fail(&self, sequence: u64, mut changes: Vec<Change>, why: &str) {
        tracing::error!("writes could not be made durable: {why}");
        let mut pending = self.pending();
        changes.append(&mut pending.changes);
        pending.changes = changes;
        self.published.send_modify(|published| published.failed = Some((sequence, why.to_owned())));
        drop(pending);
        self.settled.notify_all();
    }
}
