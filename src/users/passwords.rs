//! Password hashing: argon2id, bounded in memory however many requests ask for it.
//!
//! Hashing takes about a tenth of a second of one core, so it is never done inside a transaction.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{self, PasswordHasher, PasswordVerifier, phc::PasswordHash},
};

use super::{UserError, limits, secrets};

/// Hashes and checks passwords; cheap to clone.
#[derive(Clone)]
pub struct Passwords {
    inner: Arc<Inner>,
}

struct Inner {
    argon2: Argon2<'static>,
    length_min: usize,
    slots: Slots,
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passwords").field("length_min", &self.inner.length_min).finish_non_exhaustive()
    }
}

impl Passwords {
    /// New passwords must have at least `length_min` characters.
    pub fn new(length_min: usize) -> Self {
        Self::with_cost(length_min, limits::PASSWORD_HASH_MEMORY_KIB, limits::PASSWORD_HASH_PASSES)
    }

    /// As [`new`](Self::new) with another cost, for tests. A cost out of argon2's bounds means its default.
    pub fn with_cost(length_min: usize, memory_kib: u32, passes: u32) -> Self {
        let params = Params::new(memory_kib, passes, 1, None).unwrap_or(Params::DEFAULT);
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        Self { inner: Arc::new(Inner { argon2, length_min, slots: Slots::default() }) }
    }

    /// Whether a new password follows the rules.
    pub fn check_rules(&self, password: &str) -> Result<(), UserError> {
        if password.len() > limits::PASSWORD_BYTES_MAX {
            return Err(UserError::PasswordTooLong);
        }
        if password.chars().count() < self.inner.length_min {
            return Err(UserError::PasswordTooShort(self.inner.length_min));
        }
        Ok(())
    }

    /// The hash to keep of a new password, which must follow the rules.
    pub fn hash_new(&self, password: &str) -> Result<String, UserError> {
        self.check_rules(password)?;
        let salt = secrets::random_bytes::<16>()?;
        let _slot = self.inner.slots.take()?;
        let hash = self.inner.argon2.hash_password_with_salt(password.as_bytes(), &salt);
        Ok(hash.map_err(|e| UserError::PasswordHash(e.to_string()))?.to_string())
    }

    /// Whether `password` is the one behind `hash`. Without a hash the answer is no, after the same time,
    /// so that nobody learns from it which accounts exist.
    pub fn verify(&self, password: &str, hash: Option<&str>) -> Result<bool, UserError> {
        if password.len() > limits::PASSWORD_BYTES_MAX {
            return Ok(false);
        }
        let _slot = self.inner.slots.take()?;
        let Some(hash) = hash else {
            let spent = self.inner.argon2.hash_password_with_salt(password.as_bytes(), &[0; 16]);
            return spent.map(|_| false).map_err(|e| UserError::PasswordHash(e.to_string()));
        };
        let hash = PasswordHash::new(hash).map_err(|e| UserError::PasswordHash(e.to_string()))?;
        match self.inner.argon2.verify_password(password.as_bytes(), &hash) {
            Ok(()) => Ok(true),
            Err(password_hash::Error::PasswordInvalid) => Ok(false),
            Err(e) => Err(UserError::PasswordHash(e.to_string())),
        }
    }
}

/// Lets few hash at a time and few more wait.
#[derive(Default)]
struct Slots {
    state: Mutex<SlotState>,
    freed: Condvar,
}

#[derive(Default)]
struct SlotState {
    taken: usize,
    waiting: usize,
}

impl Slots {
    fn lock(&self) -> MutexGuard<'_, SlotState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Result<Slot<'_>, UserError> {
        let mut state = self.lock();
        if state.waiting >= limits::PASSWORD_HASHES_WAITING_MAX {
            return Err(UserError::Busy);
        }
        state.waiting += 1;
        let is_full = |state: &mut SlotState| state.taken >= limits::PASSWORD_HASHES_CONCURRENT_MAX;
        let mut state = self.freed.wait_while(state, is_full).unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        state.taken += 1;
        Ok(Slot(self))
    }
}

/// The right to hash; given back when dropped.
struct Slot<'a>(&'a Slots);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.lock().taken -= 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cheap() -> Passwords {
        Passwords::with_cost(8, 64, 1)
    }

    #[test]
    fn the_right_password_and_no_other_is_accepted() {
        let passwords = cheap();
        let hash = passwords.hash_new("correct horse").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
        assert!(passwords.verify("correct horse", Some(&hash)).unwrap());
        assert!(!passwords.verify("correct house", Some(&hash)).unwrap());
        assert!(!passwords.verify("correct horse", None).unwrap());
    }

    #[test]
    fn a_hash_outlives_a_change_of_cost() {
        let hash = cheap().hash_new("correct horse").unwrap();
        assert!(Passwords::with_cost(8, 128, 2).verify("correct horse", Some(&hash)).unwrap());
    }

    #[test]
    fn the_same_password_has_two_hashes() {
        let passwords = cheap();
        assert_ne!(
            passwords.hash_new("correct horse").unwrap(),
            passwords.hash_new("correct horse").unwrap()
        );
    }

    #[test]
    fn rules_count_characters_and_bound_bytes() {
        let passwords = cheap();
        assert!(matches!(passwords.check_rules("äöüäöüä"), Err(UserError::PasswordTooShort(8))));
        assert!(passwords.check_rules("äöüäöüäö").is_ok());
        assert!(matches!(passwords.check_rules(&"a".repeat(513)), Err(UserError::PasswordTooLong)));
    }

    #[test]
    fn a_broken_hash_is_an_error_and_not_a_yes() {
        assert!(cheap().verify("correct horse", Some("not a hash")).is_err());
    }

    #[test]
    fn no_more_than_allowed_hash_at_once() {
        let slots = Slots::default();
        let first = slots.take().unwrap();
        let second = slots.take().unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| slots.take().map(|_slot| slots.lock().taken));
            // Whether the third waits already or not yet: it can't have a slot before one is dropped.
            drop(first);
            assert_eq!(waiting.join().unwrap().unwrap(), 2);
        });
        drop(second);
        assert_eq!(slots.lock().taken, 0);
    }

    #[test]
    fn a_long_queue_is_refused() {
        let slots = Slots::default();
        slots.lock().waiting = limits::PASSWORD_HASHES_WAITING_MAX;
        assert!(matches!(slots.take().map(drop), Err(UserError::Busy)));
    }
}
