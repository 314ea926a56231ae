//! Long polling: looking again when woken, until there is something to tell or the time is over.

use std::future::Future;

use tokio::time::{Instant, timeout_at};

use super::{Registration, Woken};

/// Looks for news until there is some, the deadline has passed, or the registration's wait was ended; what
/// was found last is answered then, news or not. `look` is called once at least. It is told to look for all
/// that came after what it has told already, so it can go on from where it stopped.
///
/// The registration must have been made before anything that `look` relies on was read.
pub async fn wait_for_news<T, E, F>(
    registration: &Registration,
    deadline: Instant,
    mut look: impl FnMut(Option<&T>) -> F,
    is_news: impl Fn(&T) -> bool,
) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let mut before = None;
    loop {
        let found = look(before.as_ref()).await?;
        if is_news(&found) {
            return Ok(found);
        }
        match timeout_at(deadline, registration.woken()).await {
            Ok(Woken::News) => before = Some(found),
            Ok(Woken::Ended) | Err(_) => return Ok(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, convert::Infallible, time::Duration};

    use ruma::device_id;

    use super::*;
    use crate::{
        storage::{ShortUserId, Storage},
        sync::Notifier,
    };

    #[tokio::test]
    async fn without_news_the_deadline_ends_the_wait() {
        let notifier = Notifier::start(Storage::in_memory().unwrap()).unwrap();
        let registration = notifier.register(ShortUserId(1), device_id!("A"));
        let looks = Cell::new(0);
        let look = |_: Option<&_>| async {
            looks.set(looks.get() + 1);
            Ok::<_, Infallible>(())
        };
        let Ok(()) = wait_for_news(&registration, Instant::now(), look, |()| false).await;
        assert_eq!(looks.get(), 1);
    }

    #[tokio::test]
    async fn news_that_come_while_looking_are_looked_at_again() {
        let notifier = Notifier::start(Storage::in_memory().unwrap()).unwrap();
        let registration = notifier.register(ShortUserId(1), device_id!("A"));
        let looks = Cell::new(0);
        let far = Instant::now() + Duration::from_secs(3_600);
        let look = |_: Option<&_>| async {
            looks.set(looks.get() + 1);
            notifier.wake_user(ShortUserId(1));
            Ok::<_, Infallible>(looks.get())
        };
        let Ok(found) = wait_for_news(&registration, far, look, |looks| *looks == 3).await;
        assert_eq!(found, 3);
    }

    #[tokio::test]
    async fn a_stopping_server_answers_at_once() {
        let notifier = Notifier::start(Storage::in_memory().unwrap()).unwrap();
        let registration = notifier.register(ShortUserId(1), device_id!("A"));
        notifier.stop();
        let far = Instant::now() + Duration::from_secs(3_600);
        let Ok(()) =
            wait_for_news(&registration, far, |_| async { Ok::<_, Infallible>(()) }, |()| false).await;
    }
}
