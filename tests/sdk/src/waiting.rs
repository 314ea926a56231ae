//! Waiting for what comes by itself, within a bound.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

use crate::Failure;

/// What is waited for comes within a second, and within some more after a crash: clients and servers back off.
const WAIT: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Looks until it is so.
pub async fn until<F>(what: impl Display, mut look: impl FnMut() -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<bool, Failure>>,
{
    found(what, || {
        let look = look();
        async move { Ok(look.await?.then_some(())) }
    })
    .await
}

/// Looks until something is found.
pub async fn found<F, T>(what: impl Display, mut look: impl FnMut() -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<Option<T>, Failure>>,
{
    let start = Instant::now();
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if start.elapsed() > WAIT {
            return Err(format!("never came: {what}").into());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
