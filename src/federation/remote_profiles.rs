//! Profiles of other servers' users: asked for when a user here wants one, and remembered for a short while.
//!
//! One question serves all who ask for the same user meanwhile; what is remembered is bounded in entries and in the
//! bytes of each. Never: the names in rooms, which are their member events'. Main type: [`RemoteProfiles`].

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use ruma::{
    OwnedServerName, OwnedUserId, UserId, api::federation::query::get_profile_information::v1::Request,
};

use super::{FederationClient, FederationError, SendOptions, limits};
use crate::{net::outbound::SingleFlight, users::Profile};

type Outcome = Result<Profile, FederationError>;

/// Asks for profiles. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RemoteProfiles {
    client: FederationClient,
    own_name: OwnedServerName,
    asking: SingleFlight<OwnedUserId, Outcome>,
    known: Arc<Mutex<Known>>,
}

/// What was answered lately.
#[derive(Debug, Default)]
struct Known(HashMap<OwnedUserId, (Instant, Outcome)>);

impl Known {
    fn get(&self, user_id: &UserId, now: Instant) -> Option<Outcome> {
        let (asked_at, outcome) = self.0.get(user_id)?;
        (now.duration_since(*asked_at) < limits::PROFILE_GOOD_FOR).then(|| outcome.clone())
    }

    /// Remembers an answer; the oldest goes when there are too many.
    fn put(&mut self, user_id: OwnedUserId, outcome: Outcome, now: Instant) {
        if self.0.len() >= limits::PROFILES_KNOWN_MAX && !self.0.contains_key(&user_id) {
            self.0.retain(|_, (asked_at, _)| now.duration_since(*asked_at) < limits::PROFILE_GOOD_FOR);
            let oldest = self.0.iter().min_by_key(|(_, (asked_at, _))| *asked_at).map(|(id, _)| id.clone());
            if let Some(oldest) = oldest.filter(|_| self.0.len() >= limits::PROFILES_KNOWN_MAX) {
                self.0.remove(&oldest);
            }
        }
        self.0.insert(user_id, (now, outcome));
    }
}

impl RemoteProfiles {
    /// Asks with `client`, for `own_name`, this server.
    pub fn new(client: FederationClient, own_name: OwnedServerName) -> Self {
        Self {
            client,
            own_name,
            asking: SingleFlight::new(limits::PROFILES_ASKED_MAX),
            known: Arc::default(),
        }
    }

    /// Whether a user is another server's.
    pub fn is_remote(&self, user_id: &UserId) -> bool {
        *user_id.server_name() != self.own_name
    }

    /// The profile of another server's user, as that server tells it or has told it lately.
    pub async fn get(&self, user_id: &UserId) -> Result<Profile, FederationError> {
        if let Some(known) = self.known().get(user_id, Instant::now()) {
            return known;
        }
        self.get_anew(user_id).await
    }

    /// As [`get`](Self::get), but never from memory.
    pub async fn get_anew(&self, user_id: &UserId) -> Result<Profile, FederationError> {
        let (this, user_id) = (self.clone(), user_id.to_owned());
        let outcome = self.asking.run(user_id.clone(), || async move { this.ask(user_id).await });
        outcome.await.unwrap_or_else(|| {
            Err(FederationError::Local("too many profiles are being asked for".to_owned()))
        })
    }

    async fn ask(self, user_id: OwnedUserId) -> Outcome {
        let options = SendOptions {
            time_max: limits::PROFILE_TIME_MAX,
            bytes_max: limits::PROFILE_BYTES_MAX,
            ..SendOptions::default()
        };
        let request = Request::new(user_id.clone());
        let answer = self.client.send_with(user_id.server_name(), request, options).await;
        let outcome = answer.map(|answer| {
            let fields = answer.data.iter().map(|(name, value)| (name.clone(), value.clone()));
            Profile { fields: fields.collect() }
        });
        if is_worth_remembering(&outcome) {
            self.known().put(user_id, outcome.clone(), Instant::now());
        }
        outcome
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an answer is the server's own and small. Failures are remembered by the server's backoff.
fn is_worth_remembering(outcome: &Outcome) -> bool {
    match outcome {
        Ok(profile) => {
            let bytes = |(name, value): (&String, &serde_json::Value)| name.len() + value.to_string().len();
            profile.fields.iter().map(bytes).sum::<usize>() <= limits::PROFILE_KNOWN_BYTES_MAX
        }
        Err(error) => error.remote_errcode() == Some("M_NOT_FOUND"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_grows_old_and_stays_bounded() {
        let mut known = Known::default();
        let start = Instant::now();
        let user = |number: usize| OwnedUserId::try_from(format!("@user{number}:other.test")).unwrap();
        for number in 0..=limits::PROFILES_KNOWN_MAX {
            let now = start + std::time::Duration::from_millis(number as u64);
            known.put(user(number), Ok(Profile::default()), now);
        }
        assert_eq!(known.0.len(), limits::PROFILES_KNOWN_MAX);
        assert!(known.get(&user(0), start).is_none(), "the oldest is forgotten");
        assert!(known.get(&user(1), start + std::time::Duration::from_millis(1)).is_some());
        assert!(known.get(&user(1), start + limits::PROFILE_GOOD_FOR * 2).is_none());
    }
}
