//! The time of day as a value, so that a test moves time instead of waiting.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use ruma::{MilliSecondsSinceUnixEpoch, UInt};

/// Tells the time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Clock {
    /// The machine's time.
    pub fn system() -> Self {
        Self(Arc::new(|| MilliSecondsSinceUnixEpoch::now().get().into()))
    }

    /// A clock that only moves when told to.
    pub fn manual(start_ms: u64) -> (Self, ManualClock) {
        let now = Arc::new(AtomicU64::new(start_ms));
        let manual = ManualClock(now.clone());
        (Self(Arc::new(move || now.load(Ordering::Relaxed))), manual)
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        (self.0)()
    }

    /// Milliseconds since 1970, as ruma's type.
    pub fn now(&self) -> MilliSecondsSinceUnixEpoch {
        MilliSecondsSinceUnixEpoch(UInt::new_saturating(self.now_ms()))
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Clock").field(&self.now_ms()).finish()
    }
}

/// Moves a [`Clock::manual`].
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// Moves the time on.
    pub fn advance_ms(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }
}
