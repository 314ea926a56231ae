//! Questions of which another server has had too many from this one (429): each kind rests until then, and no
//! other kind does. A server that answers so is there; it is not left alone as one that is out of order.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ruma::{MilliSecondsSinceUnixEpoch, OwnedServerName, ServerName, UInt};

use crate::federation::limits::{
    THROTTLED_MAX, THROTTLED_TIME_DEFAULT, THROTTLED_TIME_MAX, THROTTLED_TIME_MIN,
};

/// A kind of question: the name of its type.
pub(super) type Kind = &'static str;

/// Which kinds of question rest, by server. Not kept on disk: the server says it again.
#[derive(Debug, Default)]
pub(super) struct Throttled(Mutex<HashMap<(OwnedServerName, Kind), u64>>);

impl Throttled {
    /// Until when this kind of question to `server` rests.
    pub(super) fn until(
        &self,
        server: &ServerName,
        kind: Kind,
        now_ms: u64,
    ) -> Option<MilliSecondsSinceUnixEpoch> {
        let resting = self.resting();
        if resting.is_empty() {
            return None;
        }
        let until = *resting.get(&(server.to_owned(), kind))?;
        (until > now_ms).then(|| MilliSecondsSinceUnixEpoch(UInt::new_saturating(until)))
    }

    /// The server has had too many of this kind, and wants to be asked again after `retry_after`.
    pub(super) fn note(&self, server: &ServerName, kind: Kind, now_ms: u64, retry_after: Option<Duration>) {
        let mut resting = self.resting();
        if resting.len() >= THROTTLED_MAX {
            resting.retain(|_, until| *until > now_ms);
        }
        if resting.len() < THROTTLED_MAX {
            let pause = u64::try_from(pause(retry_after).as_millis()).unwrap_or(u64::MAX);
            resting.insert((server.to_owned(), kind), now_ms.saturating_add(pause));
        }
    }

    fn resting(&self) -> MutexGuard<'_, HashMap<(OwnedServerName, Kind), u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a kind of question rests, given what the server has asked for.
pub(in crate::federation) fn pause(retry_after: Option<Duration>) -> Duration {
    retry_after.unwrap_or(THROTTLED_TIME_DEFAULT).clamp(THROTTLED_TIME_MIN, THROTTLED_TIME_MAX)
}

#[cfg(test)]
mod tests {
    use ruma::server_name;

    use super::*;

    #[test]
    fn each_kind_rests_for_itself_and_what_is_remembered_is_bounded() {
        let throttled = Throttled::default();
        let server = server_name!("a.test");
        throttled.note(server, "one", 0, Some(Duration::from_secs(7)));
        let until = throttled.until(server, "one", 6_999).map(|until| u64::from(until.get()));
        assert_eq!(until, Some(7_000));
        assert_eq!(throttled.until(server, "one", 7_000), None);
        assert_eq!(throttled.until(server, "two", 0), None);
        assert_eq!(throttled.until(server_name!("b.test"), "one", 0), None);
        for number in 0..2 * THROTTLED_MAX {
            let server = OwnedServerName::try_from(format!("s{number}.test")).unwrap();
            throttled.note(&server, "one", 0, None);
        }
        assert_eq!(throttled.resting().len(), THROTTLED_MAX);
        throttled.note(server, "one", u64::MAX / 2, None);
        assert_eq!(throttled.resting().len(), 1, "what has run out makes place");
    }

    #[test]
    fn a_server_can_ask_for_no_endless_rest_and_for_none_too_short() {
        assert_eq!(pause(None), THROTTLED_TIME_DEFAULT);
        assert_eq!(pause(Some(Duration::ZERO)), THROTTLED_TIME_MIN);
        assert_eq!(pause(Some(Duration::MAX)), THROTTLED_TIME_MAX);
    }
}
