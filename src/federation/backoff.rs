//! Servers that can't be reached are left alone for longer and longer.
//!
//! A dead server must cost a timer, not a timeout for every message and every user who looks at a profile. The
//! pauses are kept on disk, so that a restart does not ask thousands of dead servers at once. Whoever is seen
//! alive, by an answer or a signed request, starts afresh.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, OnceLock, PoisonError, RwLock},
    time::Duration,
};

use ruma::{MilliSecondsSinceUnixEpoch, OwnedServerName, ServerName, UInt};

use super::limits::{BACKOFF_MAX, BACKOFF_MIN, FAILING_DESTINATIONS_MAX};
use crate::{
    storage::{
        Direction, Json, Read, Storage, StorageError, records::DestinationFailures,
        tables::DESTINATION_FAILURES,
    },
    users::Clock,
};

type Listener = Box<dyn Fn(&ServerName) + Send + Sync>;

/// Knows which servers are left alone. Cheap to clone.
#[derive(Clone)]
pub struct Backoff(Arc<Inner>);

struct Inner {
    storage: Storage,
    clock: Clock,
    failing: RwLock<HashMap<OwnedServerName, DestinationFailures>>,
    on_alive: OnceLock<Listener>,
}

impl fmt::Debug for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backoff").finish_non_exhaustive()
    }
}

/// A server that could not be reached, for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailingDestination {
    /// The server.
    pub server: OwnedServerName,
    /// How often, since when and until when.
    pub failures: DestinationFailures,
}

impl Backoff {
    /// Reads what was kept.
    pub fn load(storage: Storage, clock: Clock) -> Result<Self, StorageError> {
        let rows = storage.scan(&DESTINATION_FAILURES, &DESTINATION_FAILURES.all(), Direction::Forward);
        let failing = rows
            .take(FAILING_DESTINATIONS_MAX)
            .map(|row| row.map(|(server, Json(failures))| (server, failures)))
            .collect::<Result<_, _>>()?;
        let inner = Inner {
            storage: storage.clone(),
            clock,
            failing: RwLock::new(failing),
            on_alive: OnceLock::new(),
        };
        Ok(Self(Arc::new(inner)))
    }

    /// The time by which servers are left alone (milliseconds since 1970).
    pub(super) fn now_ms(&self) -> u64 {
        self.0.clock.now_ms()
    }

    /// Calls `listener` whenever a server that had failed is seen alive. There is one listener; it must not wait.
    pub fn on_alive(&self, listener: impl Fn(&ServerName) + Send + Sync + 'static) {
        let is_first = self.0.on_alive.set(Box::new(listener)).is_ok();
        debug_assert!(is_first, "one listener");
    }

    /// Until when a server is left alone; `None` if it may be asked.
    pub fn until(&self, server: &ServerName) -> Option<MilliSecondsSinceUnixEpoch> {
        let failing = self.0.failing.read().unwrap_or_else(PoisonError::into_inner);
        let until = failing.get(server)?.until;
        (until > self.0.clock.now()).then_some(until)
    }

    /// For how long a server has failed whenever it was asked; `None` if it was there the last time.
    pub fn failing_for(&self, server: &ServerName) -> Option<Duration> {
        let failing = self.0.failing.read().unwrap_or_else(PoisonError::into_inner);
        let since_ms = u64::from(failing.get(server)?.since.get());
        Some(Duration::from_millis(self.0.clock.now_ms().saturating_sub(since_ms)))
    }

    /// A server could not be reached. Several requests that fail at the same time count once. `at_least` is what
    /// the server itself asks for.
    pub fn failed(&self, server: &ServerName, at_least: Option<Duration>) {
        let now = self.0.clock.now_ms();
        let failures = {
            let mut failing = self.0.failing.write().unwrap_or_else(PoisonError::into_inner);
            let known = failing.get(server);
            if known.is_some_and(|known| u64::from(known.until.get()) > now) {
                return;
            }
            let count = known.map_or(0, |known| known.failures).saturating_add(1);
            let since = known.map_or(at(now), |known| known.since);
            let pause = pause(server, count).max(at_least.unwrap_or_default()).min(BACKOFF_MAX);
            let until = at(now.saturating_add(millis(pause)));
            let failures = DestinationFailures { failures: count, since, until };
            if failing.len() >= FAILING_DESTINATIONS_MAX && !failing.contains_key(server) {
                return;
            }
            failing.insert(server.to_owned(), failures.clone());
            failures
        };
        if failures.failures == 1 {
            tracing::debug!(%server, "a server can't be reached and is left alone for a while");
        }
        self.keep(server, Some(failures));
    }

    /// A server has answered, or asked us something: it is there again.
    pub fn seen_alive(&self, server: &ServerName) {
        {
            // Nearly always it has not failed: looking must not keep others from looking.
            let failing = self.0.failing.read().unwrap_or_else(PoisonError::into_inner);
            if !failing.contains_key(server) {
                return;
            }
        }
        self.0.failing.write().unwrap_or_else(PoisonError::into_inner).remove(server);
        tracing::debug!(%server, "a server is there again");
        self.keep(server, None);
        if let Some(listener) = self.0.on_alive.get() {
            listener(server);
        }
    }

    /// All servers that could not be reached when they were last asked, by name.
    pub fn failing(&self) -> Vec<FailingDestination> {
        let failing = self.0.failing.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = failing
            .iter()
            .map(|(server, failures)| FailingDestination {
                server: server.clone(),
                failures: failures.clone(),
            })
            .collect();
        all.sort_by(|a, b| a.server.cmp(&b.server));
        all
    }

    /// Writes a row, off the runtime's threads. It need not be durable: what is lost is learnt again.
    fn keep(&self, server: &ServerName, failures: Option<DestinationFailures>) {
        let (storage, server) = (self.0.storage.clone(), server.to_owned());
        let write = move || {
            let written = storage.write(|rows| {
                match failures {
                    Some(failures) => rows.put(&DESTINATION_FAILURES, &server, &Json(failures)),
                    None => rows.delete(&DESTINATION_FAILURES, &server),
                }
                Ok::<_, StorageError>(())
            });
            if let Err(error) = written {
                tracing::warn!(%error, %server, "cannot note whether a server is there");
            }
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(write)),
            Err(_) => write(),
        }
    }
}

/// The pause after so many failures in a row: three times the one before, and up to a fifth more, which differs
/// from server to server, so that they are not all asked at the same moment.
fn pause(server: &ServerName, failures: u32) -> Duration {
    let factor = 3_u32.saturating_pow(failures.saturating_sub(1).min(16));
    let pause = BACKOFF_MIN.saturating_mul(factor).min(BACKOFF_MAX);
    let spread = server.as_bytes().iter().fold(failures, |sum, byte| sum.wrapping_mul(31) ^ u32::from(*byte));
    pause + pause / 500 * (spread % 100)
}

fn at(ms: u64) -> MilliSecondsSinceUnixEpoch {
    MilliSecondsSinceUnixEpoch(UInt::new_saturating(ms))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use ruma::server_name;

    use super::*;

    #[test]
    fn pauses_grow_and_end_when_the_server_is_seen() {
        let storage = Storage::in_memory().unwrap();
        let (clock, time) = Clock::manual(1_000_000);
        let backoff = Backoff::load(storage.clone(), clock.clone()).unwrap();
        let server = server_name!("dead.test");
        assert_eq!(backoff.until(server), None);
        let mut last = 0;
        for _ in 0..12 {
            backoff.failed(server, None);
            // At the same time: counts once.
            backoff.failed(server, None);
            let until = u64::from(backoff.until(server).unwrap().get());
            let pause = until - clock.now_ms();
            assert!(pause > last || pause >= 86_400_000, "{pause} after {last}");
            assert!(pause <= 86_400_000);
            last = pause;
            time.advance_ms(pause);
            assert_eq!(backoff.until(server), None, "it may be tried");
        }
        // A restart keeps the count.
        let again = Backoff::load(storage.clone(), clock).unwrap();
        assert_eq!(again.failing(), backoff.failing());
        assert_eq!(again.failing().first().unwrap().failures.failures, 12);

        let seen = Arc::new(Mutex::new(Vec::new()));
        let told = seen.clone();
        again.on_alive(move |server| told.lock().unwrap().push(server.to_owned()));
        again.seen_alive(server);
        again.seen_alive(server);
        assert_eq!(*seen.lock().unwrap(), [server.to_owned()]);
        assert!(again.failing().is_empty());
        assert!(Backoff::load(storage, Clock::system()).unwrap().failing().is_empty());
    }

    #[test]
    fn a_server_may_ask_for_a_longer_pause_but_not_for_ever() {
        let (clock, _) = Clock::manual(0);
        let backoff = Backoff::load(Storage::in_memory().unwrap(), clock).unwrap();
        backoff.failed(server_name!("a.test"), Some(Duration::from_secs(100)));
        assert_eq!(backoff.until(server_name!("a.test")).map(|until| until.get().into()), Some(100_000_u64));
        backoff.failed(server_name!("b.test"), Some(Duration::from_secs(u64::MAX)));
        assert_eq!(
            backoff.until(server_name!("b.test")).map(|until| until.get().into()),
            Some(86_400_000_u64)
        );
    }
}
