//! Work that many ask for at once is done once.
//!
//! The work runs in a task of its own, so that it goes on, for the others, when the first to ask is gone.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;

/// Outcomes of work under way, by what was asked.
pub struct SingleFlight<K, V> {
    running: Running<K, V>,
    running_max: usize,
}

type Running<K, V> = Arc<Mutex<HashMap<K, watch::Receiver<Option<V>>>>>;

impl<K, V> fmt::Debug for SingleFlight<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SingleFlight").finish_non_exhaustive()
    }
}

impl<K, V> Clone for SingleFlight<K, V> {
    fn clone(&self) -> Self {
        Self { running: self.running.clone(), running_max: self.running_max }
    }
}

impl<K, V> SingleFlight<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// With at most `running_max` pieces of work under way or waiting.
    pub fn new(running_max: usize) -> Self {
        Self { running: Arc::default(), running_max }
    }

    /// The outcome for `key`: of the work that is under way for it, or else of `work`. `None` when there is too
    /// much under way already, or the work came to no end.
    pub async fn run<F>(&self, key: K, work: impl FnOnce() -> F) -> Option<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut outcome = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            match running.get(&key) {
                Some(outcome) => outcome.clone(),
                None if running.len() >= self.running_max => return None,
                None => {
                    let (sender, outcome) = watch::channel(None);
                    running.insert(key.clone(), outcome.clone());
                    let flight = Flight { running: self.running.clone(), key };
                    let work = work();
                    tokio::spawn(async move {
                        let value = work.await;
                        // First, so that who asks from now on asks anew.
                        drop(flight);
                        sender.send_replace(Some(value));
                    });
                    outcome
                }
            }
        };
        let value = outcome.wait_for(Option::is_some).await.ok()?;
        value.clone()
    }
}

/// One piece of work under way; takes itself off the list, also when the work panics.
struct Flight<K: Eq + Hash, V> {
    running: Running<K, V>,
    key: K,
}

impl<K: Eq + Hash, V> Drop for Flight<K, V> {
    fn drop(&mut self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn who_asks_meanwhile_gets_the_same_outcome() {
        let flights: SingleFlight<&str, u8> = SingleFlight::new(1);
        let (release, released) = oneshot::channel::<()>();
        let (begun, has_begun) = oneshot::channel();
        let first = tokio::spawn({
            let flights = flights.clone();
            async move {
                let work = async move {
                    let _ = begun.send(());
                    let _ = released.await;
                    7
                };
                flights.run("a", || work).await
            }
        });
        has_begun.await.unwrap();
        // The first to ask goes away; the work goes on for the second.
        first.abort();
        assert_eq!(flights.run("b", || async { 1 }).await, None, "one at a time");
        let mut second = Box::pin(flights.run("a", || async { unreachable!("it is under way") }));
        tokio::select! {
            biased;
            _ = &mut second => panic!("it can't be done yet"),
            () = tokio::task::yield_now() => {}
        }
        release.send(()).unwrap();
        assert_eq!(second.await, Some(7));
    }

    #[tokio::test]
    async fn the_next_one_asks_anew_also_after_a_panic() {
        let flights: SingleFlight<u8, usize> = SingleFlight::new(4);
        let count = Arc::new(AtomicUsize::new(0));
        for expected in 0..3 {
            let counted = count.clone();
            let outcome = flights.run(1, || async move { counted.fetch_add(1, Ordering::Relaxed) }).await;
            assert_eq!(outcome, Some(expected));
        }
        let lost = flights.run(2, || async { "no number".parse().expect("a panic for the test") }).await;
        assert_eq!(lost, None);
        assert_eq!(flights.run(2, || async { 5 }).await, Some(5));
    }
}
