//! The signal that the server is stopping.
//!
//! Whoever waits for long (a sync with nothing to tell, a connection) waits for this too, and then
//! answers at once. It says only that; what is waited for, and how long, is decided in `server`.

use tokio::sync::watch;

/// Gives the signal. There is one; the server's shell has it.
#[derive(Debug)]
pub struct ShutdownTrigger(watch::Sender<bool>);

/// Learns of the signal. Cheap to clone and to wait for: nothing is polled.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// A signal that has not been given yet.
    pub fn new() -> (ShutdownTrigger, Self) {
        let (sender, receiver) = watch::channel(false);
        (ShutdownTrigger(sender), Self(receiver))
    }

    /// Whether the server is stopping.
    pub fn is_triggered(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Returns when the server is stopping. It may be dropped at any time, as in `select!`.
    pub async fn triggered(&self) {
        // An error means that the trigger is gone, and with it the server.
        let _ = self.0.clone().wait_for(|is_triggered| *is_triggered).await;
    }
}

impl ShutdownTrigger {
    /// Gives the signal to all that wait and all that will.
    pub fn trigger(&self) {
        self.0.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_waiting_learn_of_it_and_so_do_late_comers() {
        let (trigger, shutdown) = Shutdown::new();
        assert!(!shutdown.is_triggered());
        let waiting = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { shutdown.triggered().await }
        });
        trigger.trigger();
        waiting.await.expect("the waiting task ends");
        shutdown.triggered().await;
        assert!(shutdown.is_triggered());
    }

    #[tokio::test]
    async fn a_lost_trigger_counts_as_given() {
        let (trigger, shutdown) = Shutdown::new();
        drop(trigger);
        shutdown.triggered().await;
        assert!(shutdown.is_triggered());
    }
}
