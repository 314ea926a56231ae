//! How many looks for news one account has under way at the same time.
//!
//! A look reads on a thread that may block, and there are few of those. An account with many clients, or a client
//! that asks for everything again and again, waits for itself and leaves threads to others. Main type:
//! [`AccountLooks`].

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limits;
use crate::storage::ShortUserId;

/// The looks of all accounts. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct AccountLooks {
    /// Of the accounts that look or wait to look, and no others: as many as there are requests at most.
    of_users: Arc<Mutex<HashMap<ShortUserId, OfUser>>>,
}

#[derive(Debug)]
struct OfUser {
    turns: Arc<Semaphore>,
    /// Looks that are under way or wait.
    looks: usize,
}

/// A look that may go on; it ends when this is dropped.
#[derive(Debug)]
pub struct AccountLook {
    /// None only if nobody hands out turns any more.
    _turn: Option<OwnedSemaphorePermit>,
    _place: Place,
}

/// A place among an account's looks.
#[derive(Debug)]
struct Place {
    looks: AccountLooks,
    user: ShortUserId,
}

impl AccountLooks {
    /// Waits until fewer than [`limits::LOOKS_PER_ACCOUNT_MAX`] looks of this account are under way; in the order in
    /// which they came.
    pub async fn begin(&self, user: ShortUserId) -> AccountLook {
        let turns = {
            let mut of_users = self.lock();
            let of_user = of_users.entry(user).or_insert_with(|| OfUser {
                turns: Arc::new(Semaphore::new(limits::LOOKS_PER_ACCOUNT_MAX)),
                looks: 0,
            });
            of_user.looks += 1;
            of_user.turns.clone()
        };
        // Given up with the request that waits.
        let place = Place { looks: self.clone(), user };
        AccountLook { _turn: turns.acquire_owned().await.ok(), _place: place }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ShortUserId, OfUser>> {
        self.of_users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut of_users = self.looks.lock();
        if let Some(of_user) = of_users.get_mut(&self.user) {
            of_user.looks = of_user.looks.saturating_sub(1);
            if of_user.looks == 0 {
                of_users.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn an_account_waits_for_itself_and_for_nobody_else() {
        let looks = AccountLooks::default();
        let (alice, bob) = (ShortUserId(1), ShortUserId(2));
        let mut under_way = Vec::new();
        for _ in 0..limits::LOOKS_PER_ACCOUNT_MAX {
            under_way.push(looks.begin(alice).await);
        }
        let mut next = Box::pin(looks.begin(alice));
        assert!(timeout(Duration::ZERO, &mut next).await.is_err(), "it waits");
        drop(looks.begin(bob).await);
        assert!(timeout(Duration::ZERO, looks.begin(alice)).await.is_err(), "and may give up");
        under_way.pop();
        under_way.push(next.await);
        under_way.clear();
        assert!(looks.lock().is_empty(), "nothing is kept of who does not look");
    }
}
