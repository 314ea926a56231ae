//! Rendezvous sessions (MSC4108): where two devices of a person meet, of which one is not logged in yet.
//!
//! A session is a small text at an address that nobody can guess. Whoever knows the address reads the text and
//! replaces it, showing which text is replaced, so that neither misses what the other wrote; what the texts mean is
//! the devices' business, and encrypted. Sessions live some minutes, in memory only, and are bounded in size and
//! number. Main type: [`Rendezvous`].

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Clock, UserError, limits, secrets};

/// What a session's text is at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RendezvousState {
    /// The text.
    pub text: String,
    /// Names this text of this session, as HTTP writes an entity tag: with quotation marks.
    pub etag: String,
    /// When it was written, in milliseconds since 1970.
    pub written_at_ms: u64,
    /// When the session ends, in milliseconds since 1970.
    pub expires_at_ms: u64,
}

/// Why there is nothing at an address, or nothing was written.
#[derive(Debug, PartialEq, Eq)]
pub enum RendezvousRefusal {
    /// There is no such session, or it has ended.
    Unknown,
    /// The text has been replaced by another one meanwhile: this is how it is now.
    Replaced(Box<RendezvousState>),
    /// The text is larger than [`limits::RENDEZVOUS_BYTES_MAX`].
    TooLarge,
}

/// The service; cheap to clone.
#[derive(Debug, Clone)]
pub struct Rendezvous {
    sessions: Arc<Mutex<HashMap<String, RendezvousState>>>,
    clock: Clock,
}

impl Rendezvous {
    /// No sessions.
    pub fn new(clock: Clock) -> Self {
        Self { sessions: Arc::default(), clock }
    }

    /// A new session with its first text; its id. [`UserError::Busy`] when there are too many.
    pub fn create(&self, text: String) -> Result<(String, RendezvousState), UserError> {
        if text.len() > limits::RENDEZVOUS_BYTES_MAX {
            let max = format!("{} bytes", limits::RENDEZVOUS_BYTES_MAX);
            return Err(UserError::TooLarge { what: "The text of a rendezvous", max });
        }
        let id = secrets::random_secret()?;
        let now = self.clock.now_ms();
        let expires_at_ms = now + limits::RENDEZVOUS_LIFETIME_MS;
        let state = RendezvousState { text, etag: new_etag()?, written_at_ms: now, expires_at_ms };
        let mut sessions = self.lock();
        if sessions.len() >= limits::RENDEZVOUS_MAX {
            sessions.retain(|_, session| session.expires_at_ms > now);
        }
        if sessions.len() >= limits::RENDEZVOUS_MAX {
            return Err(UserError::Busy);
        }
        sessions.insert(id.clone(), state.clone());
        Ok((id, state))
    }

    /// The text now.
    pub fn get(&self, id: &str) -> Option<RendezvousState> {
        let now = self.clock.now_ms();
        self.lock().get(id).filter(|session| session.expires_at_ms > now).cloned()
    }

    /// Replaces the text that has this tag.
    pub fn replace(
        &self,
        id: &str,
        etag: &str,
        text: String,
    ) -> Result<Result<RendezvousState, RendezvousRefusal>, UserError> {
        if text.len() > limits::RENDEZVOUS_BYTES_MAX {
            return Ok(Err(RendezvousRefusal::TooLarge));
        }
        let (new_etag, now) = (new_etag()?, self.clock.now_ms());
        let mut sessions = self.lock();
        let Some(session) = sessions.get_mut(id).filter(|session| session.expires_at_ms > now) else {
            return Ok(Err(RendezvousRefusal::Unknown));
        };
        if session.etag != etag {
            return Ok(Err(RendezvousRefusal::Replaced(Box::new(session.clone()))));
        }
        session.text = text;
        session.etag = new_etag;
        session.written_at_ms = now;
        Ok(Ok(session.clone()))
    }

    /// Ends a session; whether there was one.
    pub fn end(&self, id: &str) -> bool {
        let now = self.clock.now_ms();
        self.lock().remove(id).is_some_and(|session| session.expires_at_ms > now)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, RendezvousState>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn new_etag() -> Result<String, UserError> {
    Ok(format!("\"{}\"", secrets::random_secret()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_replaced_by_who_has_seen_it() {
        let (clock, time) = Clock::manual(1_000);
        let service = Rendezvous::new(clock);
        let (id, first) = service.create("one".to_owned()).unwrap();
        assert_eq!(service.get(&id), Some(first.clone()));
        time.advance_ms(1);
        let second = service.replace(&id, &first.etag, "two".to_owned()).unwrap().unwrap();
        assert_ne!(second.etag, first.etag);
        assert_eq!((second.written_at_ms, second.expires_at_ms), (1_001, first.expires_at_ms));
        let late = service.replace(&id, &first.etag, "late".to_owned()).unwrap();
        assert_eq!(late, Err(RendezvousRefusal::Replaced(Box::new(second.clone()))));
        let same = service.replace(&id, &second.etag, "two".to_owned()).unwrap().unwrap();
        assert_ne!(same.etag, second.etag, "the same text again is told apart");
        let large = "x".repeat(limits::RENDEZVOUS_BYTES_MAX + 1);
        assert_eq!(
            service.replace(&id, &same.etag, large.clone()).unwrap(),
            Err(RendezvousRefusal::TooLarge)
        );
        assert!(matches!(service.create(large), Err(UserError::TooLarge { .. })));
        assert!(service.end(&id) && !service.end(&id));
        assert_eq!(service.get(&id), None);
        assert_eq!(service.replace(&id, &same.etag, String::new()).unwrap(), Err(RendezvousRefusal::Unknown));
    }

    #[test]
    fn sessions_end_and_are_bounded() {
        let (clock, time) = Clock::manual(1_000);
        let service = Rendezvous::new(clock);
        let (id, _) = service.create(String::new()).unwrap();
        for _ in 1..limits::RENDEZVOUS_MAX {
            service.create(String::new()).unwrap();
        }
        assert!(matches!(service.create(String::new()), Err(UserError::Busy)));
        time.advance_ms(limits::RENDEZVOUS_LIFETIME_MS);
        assert_eq!(service.get(&id), None);
        service.create(String::new()).unwrap();
        assert_eq!(service.lock().len(), 1, "those that have ended have gone");
        assert!(!service.end(&id));
    }
}
