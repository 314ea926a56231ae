//! What DNS has answered, good and bad, and for how long it holds.
//!
//! [`Answers`] never looks anything up and never reads a clock: the time comes in.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{
    ResolveError,
    limits::{
        ANSWER_TIME_MAX, ANSWER_TIME_MIN, ANSWERS_MAX, FAILURE_TIME_MAX, FAILURE_TIME_MIN, NO_NAME_TIME_MAX,
        NO_NAME_TIME_MIN, STALE_TIME_MAX,
    },
};

/// What a lookup brought, and how long the DNS server says it holds.
#[derive(Debug, Clone)]
pub struct Looked<T> {
    /// The records, or why there are none.
    pub outcome: Result<Arc<[T]>, ResolveError>,
    /// For how long; it is brought within bounds.
    pub lifetime: Duration,
}

/// What is known of a name.
#[derive(Debug, PartialEq, Eq)]
pub enum Known<T> {
    /// Holds: no lookup is needed.
    Fresh(Result<Arc<[T]>, ResolveError>),
    /// Must be looked up; if that fails or takes long, these old records serve.
    Stale(Arc<[T]>),
    /// Must be looked up.
    Nothing,
}

/// Remembered answers for one kind of record.
#[derive(Debug)]
pub struct Answers<T> {
    entries: Mutex<HashMap<String, Entry<T>>>,
    entries_max: usize,
}

#[derive(Debug)]
struct Entry<T> {
    /// The last records found, and until when they hold.
    records: Option<(Arc<[T]>, Instant)>,
    /// Why the last lookup brought none, and until when no other is made.
    failure: Option<(ResolveError, Instant)>,
    /// Failures in a row.
    failures: u32,
}

impl<T> Default for Answers<T> {
    fn default() -> Self {
        Self { entries: Mutex::default(), entries_max: ANSWERS_MAX }
    }
}

impl<T> Answers<T> {
    /// What is known of `name` at `now`.
    pub fn find(&self, name: &str, now: Instant) -> Known<T> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = entries.get(name) else { return Known::Nothing };
        let stale = match &entry.records {
            Some((records, until)) if now < *until => return Known::Fresh(Ok(records.clone())),
            Some((records, until)) if now < *until + STALE_TIME_MAX => Some(records.clone()),
            _ => None,
        };
        match (&entry.failure, stale) {
            (Some((_, until)), Some(stale)) if now < *until => Known::Fresh(Ok(stale)),
            (Some((error, until)), None) if now < *until => Known::Fresh(Err(error.clone())),
            (_, Some(stale)) => Known::Stale(stale),
            (_, None) => Known::Nothing,
        }
    }

    /// Remembers what a lookup brought.
    pub fn keep(&self, name: &str, looked: &Looked<T>, now: Instant) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= self.entries_max && !entries.contains_key(name) {
            make_room(&mut entries, now);
        }
        let entry =
            entries.entry(name.to_owned()).or_insert(Entry { records: None, failure: None, failures: 0 });
        match &looked.outcome {
            Ok(records) => {
                let lifetime = looked.lifetime.clamp(ANSWER_TIME_MIN, ANSWER_TIME_MAX);
                *entry =
                    Entry { records: Some((records.clone(), now + lifetime)), failure: None, failures: 0 };
            }
            // The name is gone by its owner's word: the old records are no longer true.
            Err(error @ ResolveError::NoSuchName) => {
                let lifetime = looked.lifetime.clamp(NO_NAME_TIME_MIN, NO_NAME_TIME_MAX);
                *entry = Entry { records: None, failure: Some((error.clone(), now + lifetime)), failures: 0 };
            }
            Err(error) => {
                let pause =
                    FAILURE_TIME_MIN.saturating_mul(1 << entry.failures.min(16)).min(FAILURE_TIME_MAX);
                entry.failures = entry.failures.saturating_add(1);
                entry.failure = Some((error.clone(), now + pause));
            }
        }
    }
}

/// Drops what no longer holds or serves; if everything does, any one entry.
fn make_room<T>(entries: &mut HashMap<String, Entry<T>>, now: Instant) {
    let before = entries.len();
    entries.retain(|_, entry| {
        entry.records.as_ref().is_some_and(|(_, until)| now < *until)
            || entry.failure.as_ref().is_some_and(|(_, until)| now < *until)
    });
    if entries.len() == before
        && let Some(name) = entries.keys().next().cloned()
    {
        entries.remove(&name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(records: &[u8], seconds: u64) -> Looked<u8> {
        Looked { outcome: Ok(records.into()), lifetime: Duration::from_secs(seconds) }
    }

    fn failed(error: ResolveError) -> Looked<u8> {
        Looked { outcome: Err(error), lifetime: Duration::ZERO }
    }

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn answers_hold_for_their_time_and_serve_on_while_lookups_fail() {
        let answers = Answers::default();
        let start = Instant::now();
        assert_eq!(answers.find("a", start), Known::Nothing);
        answers.keep("a", &found(&[1], 60), start);
        assert_eq!(answers.find("a", after(start, 59)), Known::Fresh(Ok([1].into())));
        assert_eq!(answers.find("a", after(start, 61)), Known::Stale([1].into()));

        answers.keep("a", &failed(ResolveError::Failed("timeout".into())), after(start, 61));
        assert_eq!(answers.find("a", after(start, 62)), Known::Fresh(Ok([1].into())), "no second try yet");
        assert_eq!(answers.find("a", after(start, 67)), Known::Stale([1].into()));
        assert_eq!(answers.find("a", after(start, 61 + STALE_TIME_MAX.as_secs())), Known::Nothing);
    }

    #[test]
    fn the_time_to_live_is_brought_within_bounds() {
        let answers = Answers::default();
        let start = Instant::now();
        answers.keep("short", &found(&[1], 0), start);
        assert_eq!(answers.find("short", after(start, 9)), Known::Fresh(Ok([1].into())));
        answers.keep("long", &found(&[1], u64::from(u32::MAX)), start);
        assert_eq!(answers.find("long", after(start, 25 * 3600)), Known::Stale([1].into()));
    }

    #[test]
    fn failures_are_remembered_for_longer_each_time() {
        let answers: Answers<u8> = Answers::default();
        let start = Instant::now();
        let error = ResolveError::Failed("refused".into());
        answers.keep("a", &failed(error.clone()), start);
        assert_eq!(answers.find("a", after(start, 4)), Known::Fresh(Err(error.clone())));
        assert_eq!(answers.find("a", after(start, 6)), Known::Nothing);
        answers.keep("a", &failed(error.clone()), start);
        assert_eq!(answers.find("a", after(start, 9)), Known::Fresh(Err(error.clone())));
        for _ in 0..40 {
            answers.keep("a", &failed(error.clone()), start);
        }
        assert_eq!(answers.find("a", after(start, 301)), Known::Nothing);
    }

    #[test]
    fn a_name_that_is_gone_serves_no_more() {
        let answers = Answers::default();
        let start = Instant::now();
        answers.keep("a", &found(&[1], 60), start);
        answers.keep("a", &failed(ResolveError::NoSuchName), after(start, 61));
        assert_eq!(answers.find("a", after(start, 62)), Known::Fresh(Err(ResolveError::NoSuchName)));
    }

    #[test]
    fn no_more_than_the_bound_is_kept() {
        let answers = Answers { entries: Mutex::default(), entries_max: 8 };
        let start = Instant::now();
        for name in 0..100 {
            answers.keep(&name.to_string(), &found(&[1], 60), start);
        }
        assert_eq!(answers.entries.lock().unwrap().len(), 8);
        assert_eq!(answers.find("99", start), Known::Fresh(Ok([1].into())));
    }
}
